import { ok, type Result } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { AdvisoryLock } from './advisory-lock.js';
import type { Database } from './database.js';

export interface KeptLockOptions {
  readonly database: Pick<Database, 'holdAdvisoryLock'>;
  /** What the lock is for; see `Database.holdAdvisoryLock`. */
  readonly key: Buffer;
  /** In the log: "the lock on …". */
  readonly what: string;
  /** How often a lock that was lost is tried for again, milliseconds. */
  readonly retryMs: number;
  readonly log: Log;
}

/*
 *  held ──connection breaks──► lost ──every retryMs──► held again
 *                               ▲  │ database away, or held by somebody else
 *                               └──┘
 */

/**
 * An advisory lock that outlives a restart of the database: it ends with its connection, so it is taken again as soon
 * as there is another. That somebody else has it may only mean that the server has not noticed yet that our old
 * connection is dead, so we go on trying and say so once. Rejects like `holdAdvisoryLock`.
 */
export async function keepAdvisoryLock(options: KeptLockOptions): Promise<Result<AdvisoryLock, 'held'>> {
  const { database, key, what, retryMs, log } = options;
  let current: AdvisoryLock | null = null;
  let timer: NodeJS.Timeout | null = null;
  let released = false;
  let saidHeld = false;

  const onLost = (): void => {
    // A connection that breaks before the lock was taken shows as a rejection.
    if (current === null) return;
    current = null;
    if (released) return;
    log.warn(`the lock on ${what} was lost with its database connection`);
    saidHeld = false;
    tryLater();
  };
  const tryLater = (): void => {
    timer = setTimeout(() => void tryAgain(), retryMs);
    timer.unref();
  };
  const tryAgain = async (): Promise<void> => {
    try {
      const taken = await database.holdAdvisoryLock(key, onLost);
      if (taken.ok && released) return await taken.value.release();
      if (taken.ok) {
        current = taken.value;
        log.info(`the lock on ${what} is held again`);
        return;
      }
      if (!saidHeld) log.error(`the lock on ${what} is held by another connection; trying on`);
      saidHeld = true;
    } catch {
      // The database is away: it is its own business to say so.
    }
    if (!released) tryLater();
  };

  const first = await database.holdAdvisoryLock(key, onLost);
  if (!first.ok) return first;
  current = first.value;
  return ok({
    async release() {
      released = true;
      if (timer !== null) clearTimeout(timer);
      const lock = current;
      current = null;
      await lock?.release();
    },
  });
}

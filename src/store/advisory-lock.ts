import { createHash } from 'node:crypto';
import { fail, ok, type Result } from '../domain/result.js';
import { storeErrorFrom } from './errors.js';
import type { Pool } from './session.js';

export interface AdvisoryLock {
  release(): Promise<void>;
}

const CHECK_INTERVAL_MS = 10_000;
const CHECK_PATIENCE_MS = 10_000;

/**
 * Takes PostgreSQL's advisory lock for a hash of `key`, or says that it is held. It lives on a connection of its own,
 * because it ends with its connection; a check every ten seconds notices one that has gone silently.
 */
export async function holdAdvisoryLock(
  pool: Pool,
  key: Buffer,
  onLost: () => void,
): Promise<Result<AdvisoryLock, 'held'>> {
  const lockNumber = createHash('sha256').update('waggle lock').update(key).digest().readBigInt64BE(0);
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    onLost();
  };
  try {
    const connected = await pool.connect({ direct: true, onLost: end });
    // For good: pg-promise takes its own listener off before the connection is closed.
    connected.client.on('error', () => {});
    const taken = await connected.result<{ taken: boolean }>(
      `SELECT pg_try_advisory_lock(${lockNumber}) AS taken`,
    );
    if (taken.rows[0]?.taken !== true) {
      ended = true;
      await connected.done();
      return fail('held');
    }
    timer = setInterval(() => {
      const patience = setTimeout(end, CHECK_PATIENCE_MS);
      patience.unref();
      connected.result('SELECT 1').then(
        () => clearTimeout(patience),
        () => {
          clearTimeout(patience);
          end();
        },
      );
    }, CHECK_INTERVAL_MS);
    timer.unref();
    return ok({
      release: async () => {
        if (ended) return;
        ended = true;
        clearInterval(timer);
        await connected.done();
      },
    });
  } catch (error) {
    ended = true;
    throw storeErrorFrom(error, 'advisory_lock');
  }
}

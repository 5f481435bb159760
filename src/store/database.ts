import { ok, type Result } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { holdAdvisoryLock, type AdvisoryLock } from './advisory-lock.js';
import { openEmbedded, type AcquireLock } from './embedded.js';
import { SchemaError, StoreQueryError, StoreUnavailable, storeErrorFrom } from './errors.js';
import { createPool, withSession, type PgSession, type Pool } from './session.js';
import {
  numberCell,
  statement,
  type Parameter,
  type Queries,
  type Row,
  type Statement,
  type Transaction,
} from './statement.js';

export type { Queries, Transaction } from './statement.js';

export interface TransactionOptions {
  /** For migrations: no time limit on statements. */
  readonly unlimited?: boolean;
}

/** What the rest of the program sees of PostgreSQL. */
export interface Database extends Queries {
  readonly kind: 'postgresql' | 'embedded';
  /** `server_version_num`, such as 150004. */
  readonly serverVersion: number;
  /**
   * Commits when `work` resolves, rolls back when it rejects (with the same error). Inside `work` use only the given
   * transaction: the embedded database has one connection and would wait for itself.
   */
  transaction<Value>(
    work: (transaction: Transaction) => Promise<Value>,
    options?: TransactionOptions,
  ): Promise<Value>;
  /** Whether the last thing we heard was an answer; while it was not, a probe asks every second. */
  isReachable(): boolean;
  /**
   * A lock among all processes of this database, by a hash of `key`; held on a connection of its own until released.
   * `onLost` is called once when that connection breaks: the lock may then be somebody else's.
   */
  holdAdvisoryLock(key: Buffer, onLost: () => void): Promise<Result<AdvisoryLock, 'held'>>;
  /** Waits for running statements (a few seconds at most), then closes; idempotent. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgresql://…`; null = PGlite in process under `dataDir`. */
  readonly url: string | null;
  /** Directory of the embedded database; made when missing. Not used with a `url`. */
  readonly dataDir: string;
  /** Connections to PostgreSQL at most (the embedded database has one). */
  readonly poolSize: number;
  /** A statement that runs longer is ended by the server; our own patience ends two seconds later. */
  readonly statementTimeoutMs: number;
  /** For a new connection, and for a free one of the pool. */
  readonly connectTimeoutMs: number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Keeps a second process off the embedded database's directory (`lifecycle/lock.ts`). */
  readonly acquireLock: AcquireLock;
}

const MIN_SERVER_VERSION = 130_000;
const PROBE_INTERVAL_MS = 1000;
const CLOSE_PATIENCE_MS = 5000;
/** Beyond the server's own time limit: then it is not slow, it is gone. */
const ANSWER_GRACE_MS = 2000;

const serverVersion = statement('server_version', "SELECT current_setting('server_version_num')::integer");
const probe = statement('probe', 'SELECT 1');

/**
 * Opens the database and asks for its version. Rejects with `StoreUnavailable` when it cannot be reached,
 * `SchemaError` when it is older than PostgreSQL 13, `DatabaseInUse` when another process has the embedded one.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, log } = options;
  if (url === null) {
    const embedded = await openEmbedded(options.dataDir, options.acquireLock);
    log.info(
      'embedded database (PGlite): good for one machine and for trying out; it does not sync to disk (a power cut ' +
        'may lose it) and works on our event loop. Set database.url for anything bigger.',
    );
    const pool = createPool({
      ...embedded.connection,
      max: 1,
      connectionTimeoutMillis: options.connectTimeoutMs,
      idleTimeoutMillis: 0,
    });
    return PgDatabase.open('embedded', pool, null, options, () => embedded.close());
  }
  const pool = createPool({
    connectionString: url,
    application_name: 'waggle',
    max: options.poolSize,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  return PgDatabase.open(
    'postgresql',
    pool,
    options.statementTimeoutMs + ANSWER_GRACE_MS,
    options,
    async () => {},
  );
}

/**
 * PostgreSQL by pg-promise. Two states, reachable and not: any answer makes it reachable, a broken or refused
 * connection makes it unreachable and starts the probe, which ends with the first answer. Calls are tried in both
 * states; the pool makes new connections by itself.
 */
class PgDatabase implements Database {
  #reachable = true;
  #probeTimer: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;

  private constructor(
    readonly kind: Database['kind'],
    readonly serverVersion: number,
    private readonly pool: Pool,
    /** How long we wait for the answer to a statement; null = for ever (the embedded one answers or has died). */
    private readonly answerTimeoutMs: number | null,
    private readonly log: Log,
    private readonly metrics: Metrics,
    private readonly closeBelow: () => Promise<void>,
  ) {}

  static async open(
    kind: Database['kind'],
    pool: Pool,
    answerTimeoutMs: number | null,
    { log, metrics }: Pick<DatabaseOptions, 'log' | 'metrics'>,
    closeBelow: () => Promise<void>,
  ): Promise<PgDatabase> {
    try {
      const [row] = await withSession(pool, (session) => session.rows(serverVersion, []), answerTimeoutMs);
      const version = numberCell(row, 0);
      if (version < MIN_SERVER_VERSION) {
        throw new SchemaError(
          `PostgreSQL 13 or later is needed, the server is ${Math.floor(version / 10_000)}`,
        );
      }
      return new PgDatabase(kind, version, pool, answerTimeoutMs, log, metrics, closeBelow);
    } catch (error) {
      await endPool(pool);
      await closeBelow();
      throw storeErrorFrom(error, serverVersion.name);
    }
  }

  rows(statement: Statement, values: readonly Parameter[] = []): Promise<readonly Row[]> {
    return this.#run(statement.name, (session) => session.rows(statement, values));
  }

  execute(statement: Statement, values: readonly Parameter[] = []): Promise<number> {
    return this.#run(statement.name, (session) => session.execute(statement, values));
  }

  transaction<Value>(
    work: (transaction: Transaction) => Promise<Value>,
    { unlimited = false }: TransactionOptions = {},
  ): Promise<Value> {
    return this.#run(
      'transaction',
      (session) =>
        session.transaction(async (transaction) => {
          if (unlimited) await transaction.script('SET LOCAL statement_timeout = 0');
          return work(transaction);
        }),
      unlimited ? null : this.answerTimeoutMs,
    );
  }

  isReachable(): boolean {
    return this.#reachable;
  }

  holdAdvisoryLock(key: Buffer, onLost: () => void): Promise<Result<AdvisoryLock, 'held'>> {
    // The embedded database's directory is locked as a whole: nobody else is there.
    if (this.kind === 'embedded') return Promise.resolve(ok({ release: async () => {} }));
    return holdAdvisoryLock(this.pool, key, onLost);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#probeTimer !== null) clearInterval(this.#probeTimer);
    this.#probeTimer = null;
    await endPool(this.pool);
    await this.closeBelow();
  }

  async #run<Value>(
    operation: string,
    work: (session: PgSession) => Promise<Value>,
    answerTimeoutMs = this.answerTimeoutMs,
  ): Promise<Value> {
    try {
      const value = await withSession(this.pool, work, answerTimeoutMs);
      if (!this.#reachable) this.#found();
      return value;
    } catch (error) {
      if (error instanceof StoreUnavailable) {
        this.metrics.storeFailures.of(operation).add();
        if (error.reason === 'unreachable' || error.reason === 'refused') this.#lost(error);
      } else if (error instanceof StoreQueryError) {
        this.metrics.storeFailures.of(operation).add();
        if (!this.#reachable) this.#found();
      }
      throw error;
    }
  }

  #lost(error: StoreUnavailable): void {
    if (!this.#reachable || this.#closing !== null) return;
    this.#reachable = false;
    this.log.error({ reason: error.reason, code: error.code }, 'the database is away');
    this.#probeTimer = setInterval(() => {
      if (this.#closing === null) this.rows(probe).catch(() => {});
    }, PROBE_INTERVAL_MS);
    this.#probeTimer.unref();
  }

  #found(): void {
    this.#reachable = true;
    if (this.#probeTimer !== null) clearInterval(this.#probeTimer);
    this.#probeTimer = null;
    this.log.info('the database is back');
  }
}

/** Ends the pool, but does not wait for ever for a statement that nobody answers. */
async function endPool(pool: Pool): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_PATIENCE_MS);
  });
  await Promise.race([pool.$pool.end().catch(() => {}), patience]);
  clearTimeout(timer);
}

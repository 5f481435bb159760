import pgPromise from 'pg-promise';
import { StoreUnavailable, storeErrorFrom } from './errors.js';
import type { Parameter, Queries, Row, Statement, Transaction } from './statement.js';

export type Pool = pgPromise.IDatabase<object>;
type PoolSettings = Parameters<pgPromise.IMain>[0] & object;
type Runner = Pick<pgPromise.IBaseProtocol<object>, 'result' | 'tx'>;

const INT8_OID = 20;

// One library object for the process: it holds no state of ours.
const pgp = pgPromise({ noWarnings: true });

/** `bigint` columns come as numbers; one beyond the safe range is refused rather than rounded. */
const typeParsers = {
  ...pgp.pg.types,
  getTypeParser: (oid: number, format?: 'text' | 'binary'): unknown =>
    oid === INT8_OID ? parseBigint : pgp.pg.types.getTypeParser(oid, format),
};

function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('a bigint column is beyond the safe range');
  return value;
}

export function createPool(settings: PoolSettings): Pool {
  const pool = pgp({ ...settings, types: typeParsers });
  // pg-promise takes its own listener off when the pool ends, before the connections are closed: a server that goes
  // down in between would end the process with an unhandled error. What was lost shows at the next call.
  pool.$pool.on('error', () => {});
  return pool;
}

/** One connection, for the time of one call. */
export interface PgSession extends Queries {
  transaction<Value>(work: (transaction: Transaction) => Promise<Value>): Promise<Value>;
}

/**
 * Runs `work` on a connection of the pool. A statement that has no answer after `answerTimeoutMs` ends with
 * `StoreUnavailable` and takes its connection with it: a connection of which we do not know the state never goes back.
 */
export async function withSession<Value>(
  pool: Pool,
  work: (session: PgSession) => Promise<Value>,
  answerTimeoutMs: number | null,
): Promise<Value> {
  let connected;
  try {
    connected = await pool.connect();
  } catch (error) {
    throw storeErrorFrom(error, 'connect');
  }
  const session = new Session(connected, answerTimeoutMs);
  let kill = true;
  try {
    const value = await work(session);
    kill = session.mustDie;
    return value;
  } catch (error) {
    kill = session.mustDie || (error instanceof StoreUnavailable && error.reason === 'unreachable');
    throw error;
  } finally {
    void connected.done(kill);
  }
}

class Session implements PgSession {
  mustDie = false;

  constructor(
    private readonly runner: Runner,
    private readonly answerTimeoutMs: number | null,
  ) {}

  async rows(statement: Statement, values: readonly Parameter[] = []): Promise<readonly Row[]> {
    const result = await this.#run(this.runner, statement, values);
    return result.rows;
  }

  async execute(statement: Statement, values: readonly Parameter[] = []): Promise<number> {
    const result = await this.#run(this.runner, statement, values);
    return result.rowCount;
  }

  async transaction<Value>(work: (transaction: Transaction) => Promise<Value>): Promise<Value> {
    let failure: { readonly error: unknown } | null = null;
    try {
      return await this.#answered('transaction', () =>
        this.runner.tx(async (task) => {
          try {
            return await work({
              rows: async (statement, values = []) => (await this.#run(task, statement, values)).rows,
              execute: async (statement, values = []) => (await this.#run(task, statement, values)).rowCount,
              script: async (sql) => {
                await this.#answered('script', () => task.result(sql));
              },
            });
          } catch (error) {
            failure = { error };
            throw error;
          }
        }),
      );
    } catch (error) {
      // What `work` threw is the caller's own; only BEGIN and COMMIT are left to be ours.
      throw failure === null ? error : (failure as { readonly error: unknown }).error;
    }
  }

  #run(
    runner: Runner,
    { name, text }: Statement,
    values: readonly Parameter[],
  ): Promise<pgPromise.IResultExt<Row>> {
    // A fresh object each time: pg-promise keeps the values on it.
    const prepared = new pgp.PreparedStatement({ name, text, values: [...values], rowMode: 'array' });
    return this.#answered(name, () => runner.result<Row>(prepared));
  }

  async #answered<Value>(operation: string, ask: () => Promise<Value>): Promise<Value> {
    let timer: NodeJS.Timeout | undefined;
    try {
      if (this.answerTimeoutMs === null) return await ask();
      const timeoutMs = this.answerTimeoutMs;
      const silence = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => {
          this.mustDie = true;
          reject(new StoreUnavailable('unreachable', 'no answer'));
        }, timeoutMs);
      });
      return await Promise.race([ask(), silence]);
    } catch (error) {
      throw storeErrorFrom(error, operation);
    } finally {
      clearTimeout(timer);
    }
  }
}

import { readdirSync, readFileSync } from 'node:fs';
import pgPromise from 'pg-promise';
import { cpuMicros } from './process.js';

/** CPU time of a PostgreSQL on this machine, with all its processes that are there, in µs. */
export interface PostgresCpu {
  cpuMicros(): number;
}

/** Found by the connection that asks: the parent of its process is the server (Linux). */
export async function postgresOf(databaseUrl: string): Promise<PostgresCpu> {
  const pgp = pgPromise({ noWarnings: true });
  const { pid } = await pgp(databaseUrl).one<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const server = parentOf(pid);
  pgp.end();
  if (server === null) throw new Error('PostgreSQL is not on this machine');
  return {
    cpuMicros: () =>
      readdirSync('/proc')
        .map(Number)
        .filter((candidate) => candidate > 0 && (candidate === server || parentOf(candidate) === server))
        .reduce((sum, candidate) => sum + (unlessGone(() => cpuMicros(candidate)) ?? 0), 0),
  };
}

function parentOf(pid: number): number | null {
  const status = unlessGone(() => readFileSync(`/proc/${pid}/status`, 'latin1'));
  const [, parent] = /^PPid:\s+(\d+)/m.exec(status ?? '') ?? [];
  return parent === undefined ? null : Number(parent);
}

function unlessGone<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch {
    return null;
  }
}

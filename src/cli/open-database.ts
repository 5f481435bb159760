import type { Config } from '../config/types.js';
import { acquireInstanceLock } from '../lifecycle/lock.js';
import { openDatabase, type Database } from '../store/database.js';
import { createLog } from '../telemetry/log.js';
import { Metrics } from '../telemetry/metrics.js';
import type { World } from './command.js';

/** For a command that works on the database itself; what the store has to say goes to standard error. */
export function openConfiguredDatabase({ database }: Config, world: World): Promise<Database> {
  const { url, dataDir, poolSize, statementTimeoutMs, connectTimeoutMs } = database;
  return openDatabase({
    url: url?.reveal() ?? null,
    dataDir,
    poolSize,
    statementTimeoutMs,
    connectTimeoutMs,
    log: createLog({ level: 'warn' }, { write: (line) => world.complain(line.trimEnd()) }),
    metrics: new Metrics(),
    acquireLock: acquireInstanceLock,
  });
}

import { acquireInstanceLock } from '../../src/lifecycle/lock.js';
import type { DatabaseOptions } from '../../src/store/database.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';

/** Outside of vitest too: child processes of tests use it. */
export const databaseOptionsFor = (url: string | null, dataDir: string): DatabaseOptions => ({
  url,
  dataDir,
  poolSize: 8,
  statementTimeoutMs: 10_000,
  connectTimeoutMs: 5000,
  log: silentLog(),
  metrics: new Metrics(),
  acquireLock: acquireInstanceLock,
});

import { StoreQueryError, StoreUnavailable } from '../store/errors.js';
import type { Log } from '../telemetry/log.js';

/** The same again would fail again; anything else (the database is away, its schema is being repaired) may pass. */
export function isAboutTheData(error: unknown): boolean {
  if (error instanceof StoreQueryError) return error.code.startsWith('22') || error.code.startsWith('23');
  return !(error instanceof StoreUnavailable);
}

/** That the database is away is its own business to say. */
export function logWriteFailure(log: Log, error: unknown): void {
  if (!(error instanceof StoreUnavailable)) log.error({ err: error }, 'the outbox cannot be written');
}

/** Tells the owner of a push what became of it; what goes wrong there does not stop the others. */
export function tell(log: Log, callback: (() => void) | null): void {
  try {
    callback?.();
  } catch (error) {
    log.error({ err: error }, 'the owner of a push failed to hear what became of it');
  }
}

import type { Clock } from '../domain/clock.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { StoreUse, XmppDevicesReport } from './report.js';

export interface StoreFailuresDeps {
  readonly clock: Clock;
  readonly report: Pick<XmppDevicesReport, 'storeFailed'>;
  readonly log: Log;
}

/** Where it is counted, and said now and then, that the store did not do what it was asked for. */
export class StoreFailures {
  readonly #sampled: SampledLog;

  constructor(private readonly deps: StoreFailuresDeps) {
    this.#sampled = new SampledLog(deps.clock);
  }

  /** Resolves and rejects as the store does. */
  async counted<Answer>(use: StoreUse, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      this.deps.report.storeFailed(use);
      throw error;
    }
  }

  /** The database lacks what it had committed. */
  wasPutBack(): void {
    this.deps.log.error(
      'devices of XMPP users: the database lacks changes that it had (a standby took over, or a backup was restored); ' +
        'all devices are read again',
    );
  }

  /** That the database is away is its own business to say. A fault's message may quote what must not be in a log. */
  log(use: StoreUse, error: unknown): void {
    const fault = error instanceof Error ? error.name : typeof error;
    if (fault === 'StoreUnavailable') return;
    this.#sampled.note(use, (occurrences) =>
      this.deps.log.error({ use, fault, occurrences }, 'devices of XMPP users: something failed'),
    );
  }
}

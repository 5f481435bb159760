import { systemClock } from '../../src/domain/clock.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import type { PublishSummary } from '../../src/domain/publish.js';
import { silentLog } from '../../src/telemetry/log.js';
import { AccountClient, type AccountDeps, type AccountReport } from '../../src/uwpx/account-client.js';
import {
  defaultAccountOptions,
  type AccountEntry,
  type AccountOptions,
} from '../../src/uwpx/account-options.js';
import { eventually } from './eventually.js';
import { MemoryUwpxStore } from './memory-uwpx-store.js';

/** Remembers what was reported. */
export class AccountReportLog implements AccountReport {
  connects = 0;
  readonly ends: string[] = [];
  readonly messages: string[] = [];
  readonly nodes: string[] = [];

  connected(): void {
    this.connects += 1;
  }
  ended(end: string): void {
    this.ends.push(end);
  }
  message(kind: string): void {
    this.messages.push(kind);
  }
  node(result: string): void {
    this.nodes.push(result);
  }
}

/** The client of an account, with a store in memory, that has heard of nothing yet. */
export class AccountUnderTest {
  readonly store = new MemoryUwpxStore();
  readonly report = new AccountReportLog();
  readonly events: { readonly node: string; readonly summary: PublishSummary }[] = [];
  readonly client: AccountClient;

  constructor(entry: AccountEntry, options: Partial<AccountOptions> = {}, deps: Partial<AccountDeps> = {}) {
    this.client = new AccountClient(
      entry,
      {
        store: this.store,
        onEvent: (node, summary) => this.events.push({ node, summary }),
        whenReady: () => Promise.resolve(),
        clock: systemClock,
        random: () => 0,
        randomBytes: createRandomBytes(),
        log: silentLog(),
        report: this.report,
        ...deps,
      },
      { ...defaultAccountOptions, backOffSeconds: [0.02], refusedBackOffSeconds: [0.02], ...options },
    );
  }

  /** Logged in `times` times, and all nodes are there. */
  async settled(times = 1): Promise<void> {
    await eventually(() => this.report.connects >= times && this.client.status().isSettled, {
      what: `login ${times} with all nodes (${JSON.stringify(this.client.status())}; ${this.report.ends.join()})`,
    });
  }
}

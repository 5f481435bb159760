import type { Network } from '../actors/network.js';
import type { Subscription } from '../domain/subscription.js';
import type { SubscriptionStore } from '../store/subscriptions.js';
import type { SubscriptionIndex } from '../subscription-index/subscription-index.js';
import type { Surroundings } from './surroundings.js';

/** What was there before us: the database's subscriptions go into the index while clients are served already. */
export class FirstLoad {
  isDone = false;
  seconds = 0;

  constructor(
    private readonly around: Surroundings,
    private readonly store: SubscriptionStore,
    private readonly index: SubscriptionIndex,
    private readonly network: Network,
  ) {
    // From the first change on, the index must know that older rows are still to come.
    index.startLoad();
  }

  async run(): Promise<void> {
    const { clock, config, log } = this.around;
    const { index } = this;
    const startedAtMs = clock.nowMs();
    let unusable = 0;
    const visit = (page: readonly Subscription[]): void => {
      for (const subscription of page) if (!index.load(subscription)) unusable += 1;
    };
    await this.store.load(visit, config.database.loadPageRows);
    if (unusable > 0)
      log.warn({ rows: unusable }, 'subscriptions in the database that no client can have made');
    index.finishLoad();
    this.network.loaded();
    this.seconds = (clock.nowMs() - startedAtMs) / 1000;
    this.isDone = true;
  }
}

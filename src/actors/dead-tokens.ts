import type { ServiceId, ServiceName } from '../domain/ids.js';
import type { Push } from '../domain/push.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { DeadTokenGuard } from '../delivery-rules/dead-token-guard.js';

/** Something that lives as long as a device's token: a subscription, an older client's registration. */
export interface TokenHolder {
  /** Whether it is gone now: not when it was renewed at `sinceMs` or later (unix milliseconds). */
  tokenDied(sinceMs: number): Promise<boolean>;
}

/** One kind of holders. */
export interface TokenHolderSource {
  /**
   * Whose they are where anybody may register them without a proof: their dead tokens are counted by themselves. None: they
   * are subscriptions.
   */
  readonly withoutProof?: WithoutProof;
  holdersOf(
    service: ServiceName,
    serviceId: ServiceId,
  ): readonly TokenHolder[] | Promise<readonly TokenHolder[]>;
  /** How many devices of the service there are, about. */
  countOf(service: ServiceName): number;
}

/** Names of windows of the guard. */
export type WithoutProof = 'older clients' | 'clients of XMPP servers';

/** Everything that may hold a token, of whatever kind. */
export class TokenHolders {
  readonly #sources: TokenHolderSource[] = [];

  add(source: TokenHolderSource): void {
    this.#sources.push(source);
  }

  /** Rejects as its sources do. */
  async holdersOf(service: ServiceName, serviceId: ServiceId): Promise<readonly TokenHolder[]> {
    const holders: TokenHolder[] = [];
    for (const source of this.#sources) holders.push(...(await source.holdersOf(service, serviceId)));
    return holders;
  }

  /**
   * Those of one window of the guard: of `server`, where that is a name of ours, or else of all with a proof, which may be
   * at several servers. A share of all together would be all of the few.
   */
  countOf(service: ServiceName, server: string | null): number {
    const isNamed = this.#sources.some(({ withoutProof }) => withoutProof === server);
    return this.#sources
      .filter(({ withoutProof }) => withoutProof === (isNamed ? (server ?? undefined) : undefined))
      .reduce((sum, source) => sum + source.countOf(service), 0);
  }
}

export interface DeadTokensDeps {
  readonly holdersOf: (service: ServiceName, serviceId: ServiceId) => Promise<readonly TokenHolder[]>;
  readonly guard: DeadTokenGuard;
  /** Whose dead tokens are counted by themselves (see `Notifier.serverOf`); null = those of the service. */
  readonly serverOf: (push: Push) => string | null;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * True: nothing holds the token any more. False: something is kept (the guard, a renewal since, the store away, too much
 * waits). Settles when that is so; never rejects.
 */
export type ReportDeadToken = (push: Push, sinceMs: number | null) => Promise<boolean>;

interface Report {
  readonly id: string;
  readonly service: ServiceName;
  readonly serviceId: ServiceId;
  /** Who says so. */
  readonly server: string | null;
  readonly sinceMs: number;
  readonly isGone: Promise<boolean>;
  readonly settle: (isGone: boolean) => void;
  /** How many wait for it besides the first. */
  sharing: number;
}

/** Of one device: nobody else's changes wait behind a device that somebody subscribed to thousands of accounts. */
const REMOVALS_AT_ONCE = 100;
/** A thousand dead tokens a second must not take every connection to the database ... */
const DEVICES_AT_ONCE = 8;
/** ... nor, while it is slow, all memory. */
const WAITING_MAX = 1000;
/** Nor those who ask for the same devices meanwhile. */
const SHARING_MAX = 10_000;

const KEPT = Promise.resolve(false);

/**
 * A provider calls a token dead: everything that holds it goes, unless it was renewed since, or the guard
 * finds that too many devices go at once. When the store is away, or too many wait, nothing happens: the next push will
 * tell again.
 */
export function createDeadTokenReporter(deps: DeadTokensDeps): ReportDeadToken {
  const { guard } = deps;
  const known = new Map<string, Report>();
  const waiting: Report[] = [];
  let inProgress = 0;
  let sharing = 0;

  const onFailure = (): void => deps.metrics.storeFailures.of('dead-token').add();

  const remove = async ({ service, serviceId, server, sinceMs }: Report): Promise<boolean> => {
    // Perhaps stopped while it waited.
    if (guard.refuses(service, serviceId, server)) return false;
    const holders = await deps.holdersOf(service, serviceId);
    if (holders.length === 0) return true;
    if (!guard.allow(service, serviceId, server)) return false;
    let removed = 0;
    for (let start = 0; start < holders.length; start += REMOVALS_AT_ONCE) {
      const slice = holders.slice(start, start + REMOVALS_AT_ONCE).map(async (holder) => {
        try {
          if (await holder.tokenDied(sinceMs)) removed += 1;
        } catch {
          onFailure();
        }
      });
      await Promise.all(slice);
    }
    if (removed === 0) guard.kept(service, server);
    return removed === holders.length;
  };

  const end = (report: Report, isGone: boolean): void => {
    known.delete(report.id);
    sharing -= report.sharing;
    inProgress -= 1;
    report.settle(isGone);
    work();
  };

  const work = (): void => {
    while (inProgress < DEVICES_AT_ONCE) {
      const report = waiting.shift();
      if (report === undefined) return;
      inProgress += 1;
      remove(report).then(
        (isGone) => end(report, isGone),
        () => {
          onFailure();
          end(report, false);
        },
      );
    }
  };

  return (push, sinceMs) => {
    const { service, device, receivedAtMs } = push;
    const { serviceId } = device;
    // A thousand dead tokens a second need not ask the database a thousand times what must not be removed.
    const server = deps.serverOf(push);
    if (guard.refuses(service, serviceId, server)) return KEPT;
    const id = `${service} ${serviceId}`;
    const shared = known.get(id);
    if (shared !== undefined) {
      if (sharing >= SHARING_MAX) return KEPT;
      shared.sharing += 1;
      sharing += 1;
      return shared.isGone;
    }
    if (waiting.length >= WAITING_MAX) {
      onFailure();
      return KEPT;
    }
    // Without the provider's time, what was renewed after the message came in is taken for alive.
    const since = sinceMs ?? receivedAtMs;
    let settle = (_isGone: boolean): void => undefined;
    const isGone = new Promise<boolean>((resolve) => (settle = resolve));
    const report: Report = { id, service, serviceId, server, sinceMs: since, isGone, settle, sharing: 0 };
    known.set(id, report);
    waiting.push(report);
    work();
    return isGone;
  };
}

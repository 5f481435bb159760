import type { Clock } from '../../domain/clock.js';
import { BoundedMap } from '../bounded-map.js';
import type { HttpClient, HttpFailure, HttpResult } from '../http-client.js';

/** What is found out about an endpoint before the first push goes there. */
export type Discovery =
  | 'unifiedpush'
  /** It answered, and not as a push server does. */
  | 'not-unifiedpush'
  /** None of its addresses may be connected to. */
  | 'forbidden'
  | 'unreachable'
  /** More clients ask than we ask endpoints, or this server for too much that is none. */
  | 'busy';

export interface DiscoveryOptions {
  /** Requests at once, to all servers together. */
  readonly maxAtOnce: number;
  /** Of these, requests to one server. */
  readonly maxAtOnceOfOne: number;
  /** So many pages of one server are asked for within `badForMs` unless one of them says yes. */
  readonly maxBadOfOne: number;
  /** Of each kind of finding so many are remembered. */
  readonly maxRemembered: number;
  readonly goodForMs: number;
  /** When so many ask that nobody can be asked, a server that said yes within this time is believed still. */
  readonly onceGoodForMs: number;
  readonly badForMs: number;
}

const defaults: DiscoveryOptions = {
  maxAtOnce: 256,
  maxAtOnceOfOne: 4,
  maxBadOfOne: 20,
  maxRemembered: 4096,
  goodForMs: 24 * 3_600_000,
  onceGoodForMs: 7 * 24 * 3_600_000,
  badForMs: 2 * 60_000,
};

/**
 * Asks endpoints whether they are UnifiedPush's ("Server" 1.2.0, "Discovery"). A server that once said yes is believed
 * for all its endpoints; a no is about one endpoint only, or anybody could shut a server out by naming a page of it;
 * silence is about the server. A client can name any page of the internet: of a server that never said yes, few are
 * asked for.
 */
export class EndpointDiscovery {
  readonly #options: DiscoveryOptions;
  readonly #good: ExpiringMap<Discovery>;
  readonly #silent: ExpiringMap<Discovery>;
  readonly #bad: ExpiringMap<Discovery>;
  readonly #onceGood: ExpiringMap<Discovery>;
  /** How many pages of each server were asked for, from the first on. */
  readonly #asked: ExpiringMap<{ count: number }>;
  readonly #underWay = new Map<string, Promise<Discovery>>();
  /** Whoever closes the client ends the requests. */
  readonly #nobodyAborts = new AbortController().signal;
  #running = 0;
  readonly #runningOf = new Map<string, number>();

  constructor(
    /** With the guard. */
    private readonly client: HttpClient,
    private readonly clock: Clock,
    options: Partial<DiscoveryOptions> = {},
  ) {
    this.#options = { ...defaults, ...options };
    this.#good = new ExpiringMap(this.#options.maxRemembered);
    this.#silent = new ExpiringMap(this.#options.maxRemembered);
    this.#bad = new ExpiringMap(this.#options.maxRemembered);
    this.#onceGood = new ExpiringMap(this.#options.maxRemembered);
    this.#asked = new ExpiringMap(this.#options.maxRemembered);
  }

  /** A finding that is remembered; null = somebody must ask. */
  known(url: URL): Discovery | null {
    const nowMs = this.clock.nowMs();
    if (this.#good.get(url.origin, nowMs) !== null) return 'unifiedpush';
    return this.#silent.get(url.origin, nowMs) ?? this.#bad.get(url.href, nowMs);
  }

  /** Never rejects; settles within twice the client's time limit. */
  async ask(url: URL): Promise<Discovery> {
    // Many clients of one server come together: the first one asks for all.
    const underWay = this.#underWay.get(url.origin);
    if (underWay !== undefined) {
      const found = await underWay;
      if (found !== 'not-unifiedpush') return found;
    }
    return this.known(url) ?? this.#request(url);
  }

  #request(url: URL): Promise<Discovery> {
    const { origin } = url;
    const nowMs = this.clock.nowMs();
    if (!this.#mayAsk(origin, nowMs)) return Promise.resolve(this.#onceGood.get(origin, nowMs) ?? 'busy');
    this.#running += 1;
    this.#runningOf.set(origin, (this.#runningOf.get(origin) ?? 0) + 1);
    const asked = this.client
      .send({
        url,
        method: 'GET',
        headers: { accept: 'application/json' },
        body: null,
        signal: this.#nobodyAborts,
      })
      .then((result) => {
        this.#running -= 1;
        const left = (this.#runningOf.get(origin) ?? 1) - 1;
        if (left > 0) this.#runningOf.set(origin, left);
        else this.#runningOf.delete(origin);
        if (this.#underWay.get(origin) === asked) this.#underWay.delete(origin);
        const found = findingOf(result);
        this.#remember(url, found, result);
        return found;
      });
    if (!this.#underWay.has(origin)) this.#underWay.set(origin, asked);
    return asked;
  }

  /** Counts it when so. */
  #mayAsk(origin: string, nowMs: number): boolean {
    const { maxAtOnce, maxAtOnceOfOne, maxBadOfOne, badForMs } = this.#options;
    if (this.#running >= maxAtOnce || (this.#runningOf.get(origin) ?? 0) >= maxAtOnceOfOne) return false;
    const asked = this.#asked.get(origin, nowMs) ?? { count: 0 };
    if (asked.count >= maxBadOfOne) return false;
    if (asked.count === 0) this.#asked.set(origin, asked, nowMs + badForMs);
    asked.count += 1;
    return true;
  }

  /** What one path of a server may bring about (a time-out, an error) is nothing to remember of the server. */
  #remember(url: URL, found: Discovery, result: HttpResult): void {
    const nowMs = this.clock.nowMs();
    const { goodForMs, onceGoodForMs, badForMs } = this.#options;
    if (found === 'unifiedpush') {
      this.#good.set(url.origin, found, nowMs + goodForMs);
      this.#onceGood.set(url.origin, found, nowMs + onceGoodForMs);
      this.#asked.delete(url.origin);
    } else if (found === 'not-unifiedpush') this.#bad.set(url.href, found, nowMs + badForMs);
    else if (result.kind === 'failure' && noConnection.has(result.reason)) {
      this.#silent.set(url.origin, found, nowMs + badForMs);
    }
  }
}

const noConnection: ReadonlySet<HttpFailure> = new Set([
  'unreachable',
  'connect-timeout',
  'tls-failed',
  'forbidden-address',
]);
function findingOf(result: HttpResult): Discovery {
  if (result.kind === 'failure') return result.reason === 'forbidden-address' ? 'forbidden' : 'unreachable';
  const { status, body } = result;
  if (status === 408 || status === 429 || status >= 500) return 'unreachable';
  return status >= 200 && status < 300 && saysUnifiedpush(body) ? 'unifiedpush' : 'not-unifiedpush';
}

/** `{"unifiedpush":{"version":1}}`, whatever else it says. */
function saysUnifiedpush(body: string): boolean {
  try {
    const answer = JSON.parse(body) as { readonly unifiedpush?: { readonly version?: unknown } } | null;
    return answer?.unifiedpush?.version === 1;
  } catch {
    return false;
  }
}

/** Findings with an end; the oldest make room. */
class ExpiringMap<Finding> {
  readonly #entries: BoundedMap<{ readonly found: Finding; readonly untilMs: number }>;

  constructor(maxEntries: number) {
    this.#entries = new BoundedMap(maxEntries);
  }

  get(name: string, nowMs: number): Finding | null {
    const entry = this.#entries.get(name);
    if (entry === undefined) return null;
    if (entry.untilMs > nowMs) return entry.found;
    this.#entries.delete(name);
    return null;
  }

  set(name: string, found: Finding, untilMs: number): void {
    this.#entries.set(name, { found, untilMs });
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }
}

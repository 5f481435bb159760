/** Options of a notifier of type `webpush`. File names are absolute. */
export interface WebpushEntry {
  readonly type: 'webpush';
  /** PEM files with keys on P-256 (`waggle keygen vapid`); the first is told to new clients, all are accepted. */
  readonly vapidKeyFiles?: readonly string[];
  /** How push services reach the operator: `mailto:` or `https:`. Apple refuses hosts such as localhost. */
  readonly subject?: string | null;
  /** The longest TTL that is asked for. */
  readonly maxTtlSeconds?: number;
  /** Whether pushes carry a Topic, so that a push that is sent twice replaces itself while it waits. */
  readonly topic?: boolean;
  /** Takes endpoints with http:// as well. */
  readonly allowHttp?: boolean;
  /** Networks that endpoints may lie in although they are not public. */
  readonly allowNetworks?: readonly string[];
  /** Ports of endpoints; empty = any. */
  readonly ports?: readonly number[];
  /** PEM: a trust anchor beside the usual ones. */
  readonly caFile?: string | null;
  /** To one push service. */
  readonly connections?: number;
  /** Requests at once, to all push services together. */
  readonly maxInFlight?: number;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}

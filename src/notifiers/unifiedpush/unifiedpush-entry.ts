/** Options of a notifier of type `unifiedpush`. File names are absolute. */
export interface UnifiedpushEntry {
  readonly type: 'unifiedpush';
  /** Whether a subscribe asks the endpoint if it is a UnifiedPush server. */
  readonly discovery?: boolean;
  /** PEM files with keys on P-256 (`waggle keygen vapid`); without any, requests are not signed. */
  readonly vapidKeyFiles?: readonly string[];
  /** With keys: how push servers reach the operator, `mailto:` or `https:`. */
  readonly subject?: string | null;
  /** Takes endpoints with http:// as well. */
  readonly allowHttp?: boolean;
  /** Networks that endpoints may lie in although they are not public. */
  readonly allowNetworks?: readonly string[];
  /** Ports of endpoints; empty = any. */
  readonly ports?: readonly number[];
  /** PEM: a trust anchor beside the usual ones. */
  readonly caFile?: string | null;
  /** To one push server. */
  readonly connections?: number;
  /** Requests at once, to all push servers together. */
  readonly maxInFlight?: number;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}

import type { EndpointsEntry } from '../endpoint-traffic.js';

/** Options of a notifier of type `unifiedpush`. File names are absolute. */
export interface UnifiedpushEntry extends EndpointsEntry {
  readonly type: 'unifiedpush';
  /** Whether a subscribe asks the endpoint if it is a UnifiedPush server. */
  readonly discovery?: boolean;
  /** PEM files with keys on P-256 (`waggle keygen vapid`); without any, requests are not signed. */
  readonly vapidKeyFiles?: readonly string[];
  /** With keys: how push servers reach the operator, `mailto:` or `https:`. */
  readonly subject?: string | null;
}

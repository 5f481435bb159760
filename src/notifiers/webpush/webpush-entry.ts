import type { EndpointsEntry } from '../endpoint-traffic.js';

/** Options of a notifier of type `webpush`. File names are absolute. */
export interface WebpushEntry extends EndpointsEntry {
  readonly type: 'webpush';
  /** PEM files with keys on P-256 (`waggle keygen vapid`); the first is told to new clients, all are accepted. */
  readonly vapidKeyFiles?: readonly string[];
  /** How push services reach the operator: `mailto:` or `https:`. Apple refuses hosts such as localhost. */
  readonly subject?: string | null;
  /** The longest TTL that is asked for. */
  readonly maxTtlSeconds?: number;
  /** Whether pushes carry a Topic, so that a push that is sent twice replaces itself while it waits. */
  readonly topic?: boolean;
}

import type { GroupKind, People } from './legacy-people.js';

/** What requests are about. Everything is made beforehand: frames of their own, with keys of their own. */
export type Subject =
  /** `notify` to one account after the other. */
  | { readonly kind: 'accounts' }
  /** `notify` to one group after the other. */
  | { readonly kind: 'groups'; readonly groups: GroupKind }
  /** `notify` to ids that nobody registered for. */
  | { readonly kind: 'strangers' }
  /** `register` of new phones of new accounts. */
  | { readonly kind: 'registrations' };

export interface Preparation {
  readonly subject: Subject;
  readonly count: number;
  /** Of a message before base64. */
  readonly bytes: number;
}

/** Bounded by `count` and by `seconds`. Requests are sent in turn, and from the first again after the last. */
export interface RequestFlow {
  readonly count: number;
  readonly seconds: number;
  /** null: each connection sends its next request as soon as it has its answer. */
  readonly perSecond: number | null;
  readonly connections: number;
}

/** Latencies: from the time at which a request should have gone out to its answer. */
export interface FlowResult {
  readonly sent: number;
  /** `Success`. */
  readonly done: number;
  /** Of the others, by HTTP status and message. */
  readonly refusals: readonly string[];
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface LegacyServer {
  readonly url: string;
  /** Of onion requests, hex. */
  readonly key: string;
  readonly people: People;
}

export interface LegacyClientCalls {
  readonly server: [LegacyServer, null];
  /** Replaces what was prepared before; seconds that it took. */
  readonly prepare: [Preparation, number];
  readonly run: [RequestFlow, FlowResult];
}

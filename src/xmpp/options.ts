import type { XmlLimits } from './xml-reader.js';

/** One component: a domain at an XMPP server. */
export interface ComponentEntry {
  readonly host: string;
  /** 5347 is usual. */
  readonly port: number;
  /** The component's domain, as the server's configuration names it. */
  readonly domain: string;
  readonly secret: string;
  /**
   * Connections for this domain. Prosody takes one. ejabberd takes several and deletes registrations while there is
   * none: two are right there. Source: spec xmpp-push, section 1.
   */
  readonly connections: number;
  /** Whom to ping: the server's own domain. Null: the domain above the component's. */
  readonly pingDomain: string | null;
}

/** Times in milliseconds unless named otherwise. */
export interface XmppOptions {
  readonly xml: XmlLimits;
  /** From the connect to the server's answer to our handshake. */
  readonly openTimeoutMs: number;
  /** What comes thick is worked off together, at most once in so many milliseconds; 0: at once. See `ReadCoalescer`. */
  readonly coalesceMs: number;
  /** Between two pings. */
  readonly pingIntervalMs: number;
  /** From a ping to any sign of life; without one the connection is dead. */
  readonly silenceMs: number;
  /** For the server to close its side after we have closed ours. */
  readonly closeTimeoutMs: number;
  /** What may wait to be sent on one connection; more, and the server does not read: the connection ends. Bytes. */
  readonly maxSendQueueBytes: number;
  /** Waits after the first, second, … failure in a row, the last one for all further ones. Varied by a fifth. */
  readonly backOffSeconds: readonly number[];
  /** The same after wrong secret and unknown domain, which only the operator can mend. */
  readonly refusedBackOffSeconds: readonly number[];
  /** After `conflict`: a random time between the two; the server has to notice that the old connection is dead. */
  readonly conflictBackOffSeconds: readonly [number, number];
  /** A connection that was up this long was no failure. */
  readonly stableAfterMs: number;
  /** For an answer; then an error is given in its place. ejabberd does not wait much longer than 30 s. */
  readonly answerTimeoutMs: number;
  /** Requests under way on one connection; further ones are put off with a `wait` error. */
  readonly maxOpenRequests: number;
  /** On stop: for the answers under way. In its second half nothing new is taken any more. */
  readonly drainMs: number;
}

export const defaultXmppOptions: XmppOptions = {
  xml: { maxStanzaChars: 524_288, maxDepth: 32, maxAttributes: 64 },
  openTimeoutMs: 15_000,
  coalesceMs: 4,
  pingIntervalMs: 60_000,
  silenceMs: 30_000,
  closeTimeoutMs: 2_000,
  maxSendQueueBytes: 8_388_608,
  backOffSeconds: [0.5, 1, 2, 5, 10],
  refusedBackOffSeconds: [30, 60, 120, 300],
  conflictBackOffSeconds: [5, 30],
  stableAfterMs: 10_000,
  answerTimeoutMs: 25_000,
  maxOpenRequests: 10_000,
  drainMs: 10_000,
};

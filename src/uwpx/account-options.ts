/** An account at an ordinary XMPP server. */
export interface AccountEntry {
  /** `local@domain`, lower case. */
  readonly jid: string;
  readonly password: string;
  /** Null: where the domain's DNS says (SRV), or else the domain itself. */
  readonly host: string | null;
  /** Of `host`, or of the domain where DNS says nothing; 5222 is usual. */
  readonly port: number;
  /** PEM certificates that are trusted; undefined: those that come with node. */
  readonly trustAnchors: readonly string[] | undefined;
  /** Without TLS, for a server on this very machine; a connection to anywhere else is refused then. */
  readonly plainOnLoopback: boolean;
}

/** Times in milliseconds unless named otherwise. */
export interface AccountOptions {
  /** What our session is called at the server. Another session of the same name takes its place. */
  readonly resource: string;
  /** From the connect until we are logged in. */
  readonly openTimeoutMs: number;
  /** Between two pings, and so between two signs of life. */
  readonly pingIntervalMs: number;
  /** From a ping to any sign of life; without one the connection is dead. */
  readonly silenceMs: number;
  /** For the answer to a request. */
  readonly requestTimeoutMs: number;
  /** For the server to close its side after we have closed ours. */
  readonly closeTimeoutMs: number;
  readonly maxStanzaChars: number;
  /** What may wait to be sent; more, and the server does not read: the connection ends. Bytes. */
  readonly maxSendQueueBytes: number;
  /** Waits after the first, second, … failure in a row, the last one for all further ones. Varied by a fifth. */
  readonly backOffSeconds: readonly number[];
  /** The same where only an operator can help: wrong password, bad certificate. */
  readonly refusedBackOffSeconds: readonly number[];
  /** A connection that was up this long was no failure. */
  readonly stableAfterMs: number;
  readonly upkeep: UpkeepOptions;
}

export interface UpkeepOptions {
  /** Nodes that are made or removed at once. */
  readonly concurrency: number;
  /** Nodes in one question to the database. */
  readonly pageSize: number;
  /** Changes that wait; of further ones those to be made come with the next connection, those to be removed stay. */
  readonly maxWaiting: number;
  /** Pause after the server, or the database, could not help. Milliseconds. */
  readonly retryMs: number;
  readonly attempts: number;
}

export const defaultAccountOptions: AccountOptions = {
  resource: 'waggle',
  openTimeoutMs: 15_000,
  pingIntervalMs: 60_000,
  silenceMs: 30_000,
  requestTimeoutMs: 30_000,
  closeTimeoutMs: 2_000,
  maxStanzaChars: 524_288,
  maxSendQueueBytes: 8_388_608,
  backOffSeconds: [1, 2, 5, 10, 30],
  refusedBackOffSeconds: [30, 60, 120, 300],
  stableAfterMs: 10_000,
  upkeep: { concurrency: 16, pageSize: 500, maxWaiting: 10_000, retryMs: 60_000, attempts: 5 },
};

/** The domain of a bare JID. */
export const domainOf = (jid: string): string => jid.slice(jid.indexOf('@') + 1);
export const localPartOf = (jid: string): string => jid.slice(0, Math.max(0, jid.indexOf('@')));

/** Where clients come in; file names are absolute. */
export interface UwpxAddress {
  readonly host: string;
  /** 0 = any free one. The clients have 1997 built in. */
  readonly port: number;
  /** PEM, with the certificates of the issuers behind it. */
  readonly certificateFile: string;
  /** PEM. */
  readonly keyFile: string;
}

/** What one connection may do. */
export interface ConnectionLimits {
  /** Without the NUL. */
  readonly messageMaxBytes: number;
  /** From the handshake, or an answer, to the end of the next message: whoever writes slowly has no more time. */
  readonly idleTimeoutMs: number;
  /** A message that is whole but for its NUL is taken after so long a silence. */
  readonly quietMs: number;
  /** For the client to take an answer. */
  readonly writeTimeoutMs: number;
  /** After our end, for the client's. */
  readonly lingerMs: number;
  /** Refused messages in a row. */
  readonly faultsMax: number;
}

export interface ListenerLimits extends ConnectionLimits {
  /** From the connection to the end of its handshake. */
  readonly handshakeTimeoutMs: number;
  readonly connectionsMax: number;
  readonly connectionsPerAddress: number;
  /** Connections that one address may make at once, after a rest: each costs us a handshake, and the other end little … */
  readonly newConnectionsBurst: number;
  /** … and in the long run. */
  readonly newConnectionsPerMinute: number;
  /** Addresses whose connections are remembered for that. */
  readonly rememberedSenders: number;
  /** Connections whose handshake is not done; a further one takes the place of the oldest. */
  readonly handshakesMax: number;
  /** How often the files of certificate and key are looked at for a change. */
  readonly certificateCheckMs: number;
  /** How long a client may come back without a full handshake; how long a key for that lives. */
  readonly ticketLifetimeMs: number;
  /** At a stop, for messages that are being answered. */
  readonly drainMs: number;
}

export const defaultListenerLimits: ListenerLimits = {
  messageMaxBytes: 65_536,
  idleTimeoutMs: 30_000,
  quietMs: 1_000,
  writeTimeoutMs: 10_000,
  lingerMs: 1_000,
  faultsMax: 10,
  handshakeTimeoutMs: 10_000,
  connectionsMax: 4_096,
  connectionsPerAddress: 64,
  newConnectionsBurst: 240,
  newConnectionsPerMinute: 240,
  rememberedSenders: 100_000,
  handshakesMax: 512,
  certificateCheckMs: 60_000,
  ticketLifetimeMs: 86_400_000,
  drainMs: 3_000,
};

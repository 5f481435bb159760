import type { AccessLevel } from './port.js';
import type { PublicGateLimits } from './public-gate.js';

/** Settings of the OxenMQ client. Values that liboxenmq has too are liboxenmq's (spec oxenmq, 1.3). */
export interface OxenmqOptions {
  /**
   * `static`: "L" + our public key, so that a remote knows us again after a reconnect. Two processes must never use
   * one key with it (spec oxenmq, 1.2): the older one goes mute. `ephemeral`: a new identity with every connect.
   */
  readonly routingId: 'static' | 'ephemeral';
  /** From `connect` to HELLO, and from a reconnect's handshake to HELLO. Milliseconds. */
  readonly helloTimeoutMs: number;
  /** From a request to its reply. Milliseconds. */
  readonly requestTimeoutMs: number;
  /** Between two HI probes on a link that is up; varied by a tenth so that links do not probe in step. Milliseconds. */
  readonly probeIntervalMs: number;
  /** From a probe to any sign of life; then the next probe follows at once. Milliseconds. */
  readonly probeTimeoutMs: number;
  /** Probes in a row without any sign of life that end a connection. */
  readonly maxMissedProbes: number;
  /** How long a broken link may try to come up again before the connection ends. Milliseconds. */
  readonly maxDownMs: number;
  /** A disconnect that ZeroMQ does not follow with a retry within this time has killed the socket. Milliseconds. */
  readonly deadSocketGraceMs: number;
  /** Failed handshakes and short-lived links in a row that end a connection. */
  readonly maxStrikes: number;
  /** A link that was up this long was no short-lived one. Milliseconds. */
  readonly stableAfterMs: number;
  /** Requests under way on one connection. */
  readonly maxOpenRequests: number;
  /** Answers to commands that we do not know, per connection and second. */
  readonly maxUnknownCommandReplies: number;
  /** ZeroMQ's pause before it connects again: from, doubling, to. Milliseconds. */
  readonly reconnectIntervalMs: number;
  readonly reconnectMaxIntervalMs: number;
  /** For TCP to connect; for the ZMTP and CURVE handshake. Milliseconds. */
  readonly tcpConnectTimeoutMs: number;
  readonly handshakeIntervalMs: number;
  /** ZMTP PING, and how long its PONG may take. Milliseconds. */
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  /** The largest frame that we take; a larger one ends the connection. Bytes. */
  readonly maxMessageBytes: number;
  /** Messages per connection that wait to be sent or read. Large for reading: what does not fit, the remote drops. */
  readonly sendHighWaterMark: number;
  readonly receiveHighWaterMark: number;
  /** ZeroMQ sockets in all, at most 65,535. Each connection needs three; a tenth stays free. */
  readonly maxSockets: number;
  /** Threads that encrypt and move bytes; one is enough below about 100 MB/s. */
  readonly ioThreads: number;
  /** Messages that one connection handles before the others have their turn. */
  readonly messagesPerTurn: number;
  /** Connections that have their turn within one pass of the event loop. */
  readonly connectionsPerTurn: number;
}

export const defaultOxenmqOptions: OxenmqOptions = {
  routingId: 'static',
  helloTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  probeIntervalMs: 60_000,
  probeTimeoutMs: 10_000,
  maxMissedProbes: 2,
  maxDownMs: 60_000,
  deadSocketGraceMs: 1_000,
  maxStrikes: 5,
  stableAfterMs: 10_000,
  maxOpenRequests: 64,
  maxUnknownCommandReplies: 10,
  reconnectIntervalMs: 250,
  reconnectMaxIntervalMs: 5_000,
  tcpConnectTimeoutMs: 10_000,
  handshakeIntervalMs: 10_000,
  heartbeatIntervalMs: 15_000,
  heartbeatTimeoutMs: 30_000,
  maxMessageBytes: 10_485_760,
  sendHighWaterMark: 1_000,
  receiveHighWaterMark: 50_000,
  maxSockets: 65_535,
  ioThreads: 1,
  messagesPerTurn: 8,
  connectionsPerTurn: 16,
};

/** What a remote may send us without being asked, as far as this program is concerned. */
export const DEFAULT_COMMANDS: readonly string[] = ['notify.message', 'notify.block'];

/** Settings of our listeners. Values that liboxenmq has too are liboxenmq's (spec oxenmq, 1.3 and 5.1). */
export interface OxenmqListenerOptions {
  readonly handshakeIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  /** The largest frame that each level may send; a larger one ends the connection. Bytes. */
  readonly maxMessageBytes: Readonly<Record<AccessLevel, number>>;
  /** Messages of one peer that wait to be read; beyond it ZeroMQ stops reading him. */
  readonly receiveHighWaterMark: Readonly<Record<AccessLevel, number>>;
  /** Messages for one peer that wait to be sent; beyond it a send is `full`. */
  readonly sendHighWaterMark: number;
  /** From a request to its reply. Milliseconds. */
  readonly requestTimeoutMs: number;
  /** Requests of ours that one peer has not answered yet. */
  readonly maxOpenRequests: number;
  /**
   * Requests of peers under way: per listener, per peer, and the bytes of those. What is above is dropped. An admin may
   * be the web part of a whole site; a public door must not crowd out everybody else.
   */
  readonly maxRunning: Readonly<Record<AccessLevel, number>>;
  readonly maxRunningPerPeer: Readonly<Record<AccessLevel, number>>;
  readonly maxRunningBytes: number;
  /** Bytes of peers' requests in a second, per listener. What is above is dropped: each of them costs CPU. */
  readonly maxRequestBytesPerSecond: Readonly<Record<AccessLevel, number>>;
  /** For listeners of level none on TCP. */
  readonly publicGate: PublicGateLimits;
  /** UNKNOWNCOMMAND, FORBIDDEN and NO_REPLY_TAG that a listener sends, per second. */
  readonly maxErrorReplies: number;
  /** Messages that one listener handles before everything else has its turn. */
  readonly messagesPerTurn: number;
  /** Rights of a unix socket's file. */
  readonly socketMode: number;
  /** How long a closed listener may still send what is in its queues. Milliseconds. */
  readonly lingerMs: number;
}

export const defaultOxenmqListenerOptions: OxenmqListenerOptions = {
  handshakeIntervalMs: 10_000,
  heartbeatIntervalMs: 15_000,
  heartbeatTimeoutMs: 30_000,
  maxMessageBytes: { none: 1_048_576, admin: 10_485_760 },
  receiveHighWaterMark: { none: 100, admin: 1_000 },
  sendHighWaterMark: 1_000,
  requestTimeoutMs: 15_000,
  maxOpenRequests: 1_000,
  maxRunning: { none: 32, admin: 1_000 },
  maxRunningPerPeer: { none: 8, admin: 500 },
  maxRunningBytes: 67_108_864,
  maxRequestBytesPerSecond: { none: 1_100_000, admin: Infinity },
  publicGate: { connections: 64, connectionsPerAddress: 16, bytesPerConnection: 16_777_216 },
  maxErrorReplies: 200,
  messagesPerTurn: 16,
  socketMode: 0o660,
  lingerMs: 500,
};

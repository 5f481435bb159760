import type { Result } from '../domain/result.js';

/** X25519, 32 raw bytes each. */
export interface KeyPair {
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

/** A parsed OxenMQ address (spec oxenmq, section 2). */
export interface OxenmqAddress {
  /** What ZeroMQ is given: `tcp://HOST:PORT` or `ipc://PATH`. */
  readonly endpoint: string;
  /** The remote's CURVE key; null for plain connections. */
  readonly serverKey: Buffer | null;
}

export type RequestError =
  /** No reply in time. */
  | { readonly kind: 'timeout' }
  /** The connection ended, was never up, or its send queue is full. */
  | { readonly kind: 'unavailable' }
  /** The remote answered with one of OxenMQ's error words. */
  | { readonly kind: 'refused'; readonly word: string };

export interface OxenmqConnectionHandlers {
  /**
   * The one-way commands that `onCommand` wants; default `notify.message` and `notify.block`. Anything else that the
   * remote sends is answered with UNKNOWNCOMMAND (at a bounded rate) and never seen here.
   */
  readonly commands?: readonly string[];
  /** HELLO came: after the first connect and after every reconnect. The remote's state about us may be gone. */
  readonly onUp: () => void;
  /** The link was up and broke; it may come up again by itself, within a bounded time. */
  readonly onDown: (reason: string) => void;
  /**
   * It will not come up again; make a new connection if wanted. Called once, also for a connection that was up (then
   * without `onDown` before it) and for one that could not be opened at all, but not after our own `close()`.
   */
  readonly onClosed: (reason: string) => void;
  /**
   * A one-way command of the remote, also while the link is not yet (or no longer) up. The parts are views: copy what
   * is kept. Must not throw.
   */
  readonly onCommand: (command: string, parts: readonly Buffer[]) => void;
}

/** What may differ from connection to connection. */
export interface OxenmqConnectionLimits {
  /** A larger frame of the remote ends the connection. Bytes. */
  readonly maxMessageBytes?: number;
  /** Messages that wait to be read; beyond it the remote's queue fills and then it drops. */
  readonly receiveHighWaterMark?: number;
}

/** One outgoing connection to one remote. */
export interface OxenmqConnection {
  readonly isUp: boolean;
  /**
   * One request, one answer, never a rejection. The parts must not be changed until it settles. Default time-out
   * as configured.
   */
  request(
    command: string,
    parts: readonly Buffer[],
    timeoutMs?: number,
  ): Promise<Result<Buffer[], RequestError>>;
  /** Idempotent; open requests end as `unavailable`. */
  close(): void;
}

export interface OxenmqClient {
  /** Never throws for what a remote or the system can cause: that arrives as `onClosed`. */
  connect(
    address: OxenmqAddress,
    handlers: OxenmqConnectionHandlers,
    limits?: OxenmqConnectionLimits,
  ): OxenmqConnection;
  /** Closes every connection; idempotent. */
  close(): Promise<void>;
}

/** What a listener lets its peers do: `none` = what is open to everybody, `admin` = everything (spec oxenmq, 5). */
export type AccessLevel = 'none' | 'admin';

/**
 * `sent`: in the queue of a connection that is up, which is all that ZeroMQ knows; `unreachable`: no such peer is
 * connected; `full`: its queue is, because it does not read as fast as we send.
 */
export type SendResult = 'sent' | 'unreachable' | 'full';

/**
 * Somebody at one of our listeners, known by the routing id that he announced: the same one after a reconnect when
 * the id is static, nobody any more when it is ephemeral (spec oxenmq, 1.2). May be kept.
 */
export interface OxenmqPeer {
  /** Equal for equal listeners and routing ids. Raw bytes of the peer's choice: not for logs. */
  readonly key: string;
  /** That of the listener. */
  readonly level: AccessLevel;
  /** One request, one answer, never a rejection. Only what this peer itself replies counts. */
  request(
    command: string,
    parts: readonly Buffer[],
    timeoutMs?: number,
  ): Promise<Result<Buffer[], RequestError>>;
  /** A one-way command; settles at once. */
  send(command: string, parts: readonly Buffer[]): Promise<SendResult>;
}

/** What a listener does with one name. The parts are views of the frame: copy what is kept. */
export type ServedCommand =
  | {
      readonly kind: 'command';
      readonly access: AccessLevel;
      readonly run: (peer: OxenmqPeer, parts: readonly Buffer[]) => void;
    }
  | {
      readonly kind: 'request';
      readonly access: AccessLevel;
      /** The parts of the reply. Must not reject; if it does all the same, the peer gets no reply. */
      readonly run: (peer: OxenmqPeer, parts: readonly Buffer[]) => Promise<readonly (Buffer | string)[]>;
    };

/** One listening socket. All its peers have one level: ZeroMQ does not tell which key a message came from (5.1). */
export interface OxenmqDoor {
  /** Unique; for logs, and the ZAP domain. */
  readonly name: string;
  /** As in the configuration: `tcp://HOST:PORT` (port 0 = any) or `ipc://PATH`. */
  readonly address: string;
  readonly level: AccessLevel;
  /** Null = plain. */
  readonly curve: {
    readonly keyPair: KeyPair;
    /** Public keys of those who may connect, 32 bytes each; null = everybody. */
    readonly admits: readonly Buffer[] | null;
  } | null;
}

export interface OxenmqServer {
  /** The bound address, with the port that was found where 0 was asked for; or a sentence for the operator. */
  listen(door: OxenmqDoor): Promise<Result<string, string>>;
  /** Closes every listener; open requests end as `unavailable`. Idempotent. */
  close(): Promise<void>;
}

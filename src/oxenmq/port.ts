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
  /** HELLO came: after the first connect and after every reconnect. The remote's state about us may be gone. */
  readonly onUp: () => void;
  /** The link broke or stopped answering; it may come up again by itself. */
  readonly onDown: (reason: string) => void;
  /** It will not come up again; make a new connection if wanted. */
  readonly onClosed: (reason: string) => void;
  /** A one-way command of the remote. The parts are views: copy what is kept. Must not throw. */
  readonly onCommand: (command: string, parts: readonly Buffer[]) => void;
}

/** One outgoing connection to one remote. */
export interface OxenmqConnection {
  readonly isUp: boolean;
  request(
    command: string,
    parts: readonly Buffer[],
    timeoutMs?: number,
  ): Promise<Result<Buffer[], RequestError>>;
  /** Idempotent; open requests end as `unavailable`. */
  close(): void;
}

export interface OxenmqClient {
  connect(address: OxenmqAddress, handlers: OxenmqConnectionHandlers): OxenmqConnection;
  close(): Promise<void>;
}

import type { XmlFault } from './xml-reader.js';

/** Why a connection to an XMPP server has ended. */
export type StreamEnd =
  /** No TCP connection, with the system's code. */
  | { readonly kind: 'unreachable'; readonly code: string }
  /** Connected, but not through the handshake in time. */
  | { readonly kind: 'handshake-timeout' }
  /** `not-authorized` or `host-unknown`: secret or domain are not the server's. */
  | { readonly kind: 'refused'; readonly condition: string }
  /** The server still holds another connection for the domain. */
  | { readonly kind: 'conflict' }
  /** Any other stream error of the server's. */
  | { readonly kind: 'stream-error'; readonly condition: string }
  /** The server's XML was beyond the rules or the limits. */
  | { readonly kind: 'bad-xml'; readonly fault: XmlFault | 'invalid-namespace' }
  /** It did not answer our pings. */
  | { readonly kind: 'silent' }
  /** It does not read what we send. */
  | { readonly kind: 'send-queue-full' }
  /** It closed the stream, or the connection broke. */
  | { readonly kind: 'closed-by-server' }
  /** At our own wish. */
  | { readonly kind: 'stopped' };

/** Why a connection of the account has ended. `code` and `condition` are short words of the system or of XMPP's. */
export type AccountEnd =
  /** No TCP connection. */
  | { readonly kind: 'unreachable'; readonly code: string }
  /** The server has no TLS, or is not on this machine where it has to be. */
  | { readonly kind: 'insecure' }
  /** The handshake failed, or the certificate is not good. */
  | { readonly kind: 'tls-failed'; readonly code: string }
  /** Not logged in. */
  | { readonly kind: 'refused'; readonly condition: string }
  | { readonly kind: 'open-timeout' }
  /** Another session has taken our place. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'stream-error'; readonly condition: string }
  /** What came is no XML, or more of it than there may be. */
  | { readonly kind: 'bad-xml' }
  /** It did not answer our pings. */
  | { readonly kind: 'silent' }
  /** It does not read what we send. */
  | { readonly kind: 'send-queue-full' }
  /** It closed the stream, or the connection broke. */
  | { readonly kind: 'closed-by-server' }
  /** At our own wish. */
  | { readonly kind: 'stopped' };

/** Ends that only an operator can do something about. */
export const isRefusal = ({ kind }: AccountEnd): boolean =>
  kind === 'refused' || kind === 'insecure' || kind === 'tls-failed';

/** Only what may be a condition: it goes to log and metrics. */
export const conditionOf = (name: string | undefined): string =>
  name !== undefined && /^[a-z-]{1,40}$/.test(name) ? name : 'undefined-condition';

/** The code of an error of the system, null where it has none. */
export const codeOf = (error: unknown): string | null => {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  return typeof code === 'string' && /^[A-Z_0-9]{1,60}$/.test(code) ? code : null;
};

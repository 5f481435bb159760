import { fail, ok, type Result } from '../domain/result.js';

export interface ListenAddress {
  /** What ZeroMQ is given. */
  readonly endpoint: string;
  /** Of a unix socket; null for TCP. */
  readonly path: string | null;
  /** The host without brackets; port 0 = any free one. Null for a unix socket. */
  readonly tcp: { readonly host: string; readonly port: number } | null;
  readonly ipv6: boolean;
  /** Only this machine can get here. */
  readonly isLocal: boolean;
}

// The host may be an address or the name of an interface; `*` and 0.0.0.0 are all of them.
const TCP_FORM = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]+)\]|(\*|[A-Za-z0-9._-]+)):([0-9]{1,5}|\*)$/;

/** `sockaddr_un` on Linux: 108 bytes with the NUL at the end. */
const PATH_MAX_BYTES = 107;

/**
 * Where to listen: `tcp://HOST:PORT` (0 or `*` = any free port) or `ipc://PATH`. The error is for the operator.
 * Source: spec oxenmq, section 2.
 */
export function parseListenAddress(text: string): Result<ListenAddress, string> {
  if (text.startsWith('ipc://')) return parseIpc(text.slice('ipc://'.length));
  const match = TCP_FORM.exec(text);
  if (match === null) return fail('expected tcp://HOST:PORT or ipc://PATH');
  const [, bracketed, plain = '', port = ''] = match;
  if (Number(port) > 65_535) return fail('the port must be 0 to 65535');
  const host = bracketed === undefined ? plain : `[${bracketed}]`;
  return ok({
    // ZeroMQ's own word for "any free one".
    endpoint: `tcp://${host}:${Number(port) === 0 ? '*' : port}`,
    path: null,
    tcp: { host: bracketed ?? plain, port: port === '*' ? 0 : Number(port) },
    ipv6: bracketed !== undefined,
    isLocal: /^127\./.test(plain) || plain === 'localhost' || plain === 'lo' || bracketed === '::1',
  });
}

function parseIpc(path: string): Result<ListenAddress, string> {
  if (path === '' || path.includes('\0')) return fail('ipc:// without a path');
  // `*` is a random name and `@` an abstract one, which every user of the machine may connect to.
  if (path === '*' || path.startsWith('@')) return fail('ipc:// needs the path of a file');
  if (Buffer.byteLength(path) > PATH_MAX_BYTES) {
    return fail(`the path of a unix socket has at most ${PATH_MAX_BYTES} bytes`);
  }
  return ok({ endpoint: `ipc://${path}`, path, tcp: null, ipv6: false, isLocal: true });
}

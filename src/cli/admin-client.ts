import { request } from 'node:http';
import type { Config } from '../config/types.js';

export type AdminAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly body: unknown }
  /** Nobody listens there: no server runs with this configuration. */
  | { readonly kind: 'no-server'; readonly reason: string }
  /** Somebody listens, but there is no telling what became of the request. */
  | { readonly kind: 'failed'; readonly reason: string };

const BODY_MAX_BYTES = 1_000_000;
/** Restoring a hundred thousand subscriptions takes some minutes. */
const TIMEOUT_MS = 15 * 60_000;

const nobodyListens: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Asks the running server by its admin listener, where the configuration says that it is. Never rejects. */
export function askServer(
  { host, port, token }: Config['admin'],
  method: 'GET' | 'POST',
  path: string,
  body: unknown = null,
): Promise<AdminAnswer> {
  if (port === 0) return Promise.resolve({ kind: 'no-server', reason: 'admin.port is 0' });
  const shown = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const text = body === null ? null : JSON.stringify(body);
  return new Promise((resolve) => {
    const failed = (reason: string): void => resolve({ kind: 'failed', reason });
    const asked = request(
      {
        host: reachableHost(host),
        port,
        path,
        method,
        agent: false,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }),
          ...(text === null
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > BODY_MAX_BYTES) asked.destroy(new Error('too long'));
          else chunks.push(chunk);
        });
        response.on('error', () => failed(`the answer of ${shown} broke off`));
        response.on('end', () =>
          resolve({
            kind: 'answer',
            status: response.statusCode ?? 0,
            body: parseJson(Buffer.concat(chunks).toString()),
          }),
        );
      },
    );
    asked.on('error', (error: Error & { code?: string }) => {
      const code = error.code ?? error.name;
      if (nobodyListens.has(code)) resolve({ kind: 'no-server', reason: `nobody listens on ${shown}` });
      else failed(`${shown} did not answer (${code})`);
    });
    asked.end(text ?? undefined);
  });
}

/** Where one listens on every address, one is reached on the loopback one. */
const reachableHost = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

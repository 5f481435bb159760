import type { Clock } from '../domain/clock.js';
import { AccessTokens, type RenewalRule } from './access-tokens.js';
import { requestClientCredentials, type ClientCredentials } from './client-credentials-grant.js';
import { HttpClient, httpDefaults } from './http-client.js';
import type { NotifierHealth } from './port.js';

/** Options of the notifiers with one provider over HTTP/1.1 and access tokens by client credentials. */
export interface TokenHttpEntry {
  /** `https://HOST:PORT` where requests go instead of to the provider's hosts. */
  readonly endpoint?: string | null;
  /** Instead of the provider's. */
  readonly tokenEndpoint?: string | null;
  /** PEM: trusted for `endpoint` and `tokenEndpoint` beside the usual anchors. */
  readonly caFile?: string | null;
  /** To one host; each carries one request at a time. Default 32. */
  readonly connections?: number;
  /** Requests at once, over all hosts. */
  readonly maxInFlight?: number;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** For one request of an access token. Default 10,000. */
  readonly tokenTimeoutMs?: number;
  /** A longer `Retry-After` is cut to this. */
  readonly retryAfterMaxMs?: number;
}

export interface TokenSourceOptions {
  readonly credentials: ClientCredentials;
  readonly clock: Clock;
  /** For one request of a token, connection included. Default 10,000. */
  readonly timeoutMs: number | undefined;
  readonly trustAnchors: string[] | undefined;
  readonly renewal: RenewalRule;
}

/** The access tokens of a notifier by client credentials, and the connection that they come over. */
export interface TokenSource {
  readonly tokens: AccessTokens;
  /** Ends every wait for a token; idempotent. */
  close(): Promise<void>;
}

export function openTokenSource(options: TokenSourceOptions): TokenSource {
  const { credentials, clock, trustAnchors, renewal } = options;
  const timeoutMs = options.timeoutMs ?? httpDefaults.requestTimeoutMs;
  const client = new HttpClient({
    ...httpDefaults,
    connectTimeoutMs: timeoutMs,
    requestTimeoutMs: timeoutMs,
    connectionsPerOrigin: 1,
    maxOrigins: 1,
    keepAliveMs: 5_000,
    maxResponseBytes: 65_536,
    trustAnchors,
    guard: null,
  });
  const tokens = new AccessTokens(
    () => requestClientCredentials({ credentials, client, clock }),
    clock,
    renewal,
  );
  return {
    tokens,
    async close() {
      tokens.close();
      await client.close();
    },
  };
}

/** What an operator is told of a notifier with access tokens: what keeps pushes from being sent comes first. */
export function healthWithTokens(
  tokens: AccessTokens,
  client: Pick<HttpClient, 'lastFailure' | 'isConnected'>,
): NotifierHealth {
  const { failure } = tokens;
  if (failure !== null && 'reason' in failure) return { state: 'failing', detail: failure.reason };
  if (client.lastFailure !== null) return { state: 'failing', detail: client.lastFailure };
  return { state: client.isConnected ? 'connected' : 'idle', detail: null };
}

import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../../domain/clock.js';
import type { ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { readOptionalFile } from '../credential-files.js';
import { parseEndpoint, trustAnchors, type ProviderEndpoint } from '../endpoint.js';
import { Http2Client, http2OptionsOf } from '../http2-client.js';
import type { Http2Result } from '../http2-exchange.js';
import type { Notifier, NotifierCapabilities, NotifierHealth } from '../port.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import { Refusals } from '../refusals.js';
import { legacyWriter } from '../legacy-sending.js';
import { parseMarkers } from '../markers.js';
import { encPayloadOf, MALFORMED_TOKEN, NOT_SEALED, UNREADABLE_CONTENT } from '../sealed-content.js';
import { isPrintableToken } from '../service-info.js';
import { outcomeOfFailure } from '../transport-outcome.js';
import { wakeWriter } from '../wake-sending.js';
import { AccessTokens } from '../access-tokens.js';
import { createTlsContext } from '../tls-context.js';
import { fcmOutcome, isAccessTokenRefusal, parseFcmError } from './answers.js';
import {
  fcmBody,
  fcmMarkers,
  fcmMaxPayloadBytes,
  legacyFcmBody,
  legacyFcmMembers,
  wakeFcmBody,
  wakeFcmParts,
} from './body.js';
import type { FirebaseEntry } from './firebase-entry.js';
import { loadServiceAccount } from './service-account.js';
import { validateFirebaseServiceInfo } from './token.js';
import { requestAccessToken } from './token-grant.js';

export interface FirebaseDependencies {
  readonly clock: Clock;
}

const FCM_ENDPOINT = 'https://fcm.googleapis.com';
const TOKEN_TIMEOUT_MS = 10_000;
const SESSION_MEMORY_MEGABYTES = 64;
const DELIVERED: Outcome = { kind: 'delivered' };
const EXPIRED: Outcome = { kind: 'dropped', reason: 'expired' };

/**
 * Makes a notifier for Google's service, FCM HTTP v1 over own long-lived sessions; spec session-push-v2, 12.2. The
 * error is a text for the operator: which option is missing or wrong.
 */
export function createFirebaseNotifier(
  service: ServiceName,
  entry: FirebaseEntry,
  { clock }: FirebaseDependencies,
): Result<Notifier, string> {
  const markers = parseMarkers(entry.markers);
  if (!markers.ok) return markers;
  const path = entry.serviceAccountFile ?? '';
  if (path === '') return fail('serviceAccountFile is missing');
  const account = loadServiceAccount(path);
  if (!account.ok) return account;
  const endpoint = parseEndpoint(entry.endpoint ?? FCM_ENDPOINT);
  if (!endpoint.ok) return endpoint;
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const tls = createTlsContext(trustAnchors(ca.value));
  const timeoutMs = entry.tokenTimeoutMs ?? TOKEN_TIMEOUT_MS;
  const tokens = new AccessTokens(
    () => requestAccessToken({ account: account.value, clock, timeoutMs, tls }),
    clock,
  );
  return ok(
    new FirebaseNotifier(service, entry, clock, tokens, {
      authority: endpoint.value.authority,
      path: `/v1/projects/${account.value.projectId}/messages:send`,
      markers: markers.value,
      open: async () => openSession(endpoint.value, tls),
    }),
  );
}

function openSession(endpoint: ProviderEndpoint, tls: SecureContext): ClientHttp2Session {
  return connect(endpoint.origin, {
    secureContext: tls,
    maxSessionMemory: SESSION_MEMORY_MEGABYTES,
    settings: { enablePush: false },
    ...(isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {}),
  });
}

class FirebaseNotifier implements Notifier {
  readonly type = 'firebase';
  readonly capabilities: NotifierCapabilities;
  readonly #client: Http2Client;
  readonly #retryAfterMaxMs: number;
  readonly #refusals = new Refusals();
  readonly #markers: string;
  readonly #legacyMembers = legacyWriter(legacyFcmMembers);
  readonly #wakes = wakeWriter(wakeFcmParts);
  #lastHeaders: OutgoingHttpHeaders | null = null;

  constructor(
    readonly service: ServiceName,
    entry: FirebaseEntry,
    private readonly clock: Clock,
    private readonly tokens: AccessTokens,
    private readonly target: {
      readonly authority: string;
      readonly path: string;
      readonly markers: readonly string[];
      readonly open: () => Promise<ClientHttp2Session>;
    },
  ) {
    const http2 = http2OptionsOf(entry);
    this.#client = new Http2Client(target.open, http2);
    this.#retryAfterMaxMs = entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
    this.#markers = fcmMarkers(target.markers);
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: fcmMaxPayloadBytes(target.markers),
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: http2.maxInFlight * http2.connections,
    };
  }

  validate(serviceInfo: unknown): Result<Device, ClientError> {
    return validateFirebaseServiceInfo(serviceInfo);
  }

  send(push: Push, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve) => this.#attempt(push, signal, true, resolve));
  }

  health(): NotifierHealth {
    const { connections, isConnected, lastFailure } = this.#client;
    const tokenFailure = this.tokens.failure;
    const failure = tokenFailure !== null && 'reason' in tokenFailure ? tokenFailure.reason : lastFailure;
    if (failure !== null) return { state: 'failing', detail: failure, connections };
    return { state: isConnected ? 'connected' : 'idle', detail: null, connections };
  }

  async close(): Promise<void> {
    this.#client.close();
    this.tokens.close();
  }

  #attempt(push: Push, signal: AbortSignal, mayRenew: boolean, resolve: (outcome: Outcome) => void): void {
    const authorization = this.tokens.current();
    if (authorization !== null) return this.#request(push, signal, authorization, mayRenew, resolve);
    // Only the first pushes come here.
    void this.tokens.waitFor(signal).then((token) => {
      if (token.ok) this.#request(push, signal, token.value, mayRenew, resolve);
      else resolve(token.error);
    });
  }

  #request(
    push: Push,
    signal: AbortSignal,
    authorization: string,
    mayRenew: boolean,
    resolve: (outcome: Outcome) => void,
  ): void {
    const leftMs = push.expiresAtMs - this.clock.nowMs();
    if (leftMs <= 0) return resolve(EXPIRED);
    const payload = encPayloadOf(push.content);
    const body =
      payload === null
        ? this.#otherBody(push, leftMs)
        : fcmBody(
            {
              payload,
              token: push.device.serviceId,
              priority: push.priority,
              ttlSeconds: Math.floor(leftMs / 1000),
            },
            this.#markers,
          );
    if (typeof body !== 'string') return resolve(body);
    this.#client.send({ headers: this.#headers(authorization), body, signal }, (result) => {
      if (result.kind === 'answer' && result.status === 200) {
        this.#refusals.delivered(push.device.serviceId);
        return resolve(DELIVERED);
      }
      this.#onRefusal(result, push, signal, authorization, mayRenew, resolve);
    });
  }

  /** An outcome: it is not sent. */
  #otherBody({ content, device }: Push, leftMs: number): string | Outcome {
    if (content.kind !== 'legacy' && content.kind !== 'wake') return NOT_SEALED;
    const token = device.serviceId;
    if (!isPrintableToken(token)) return MALFORMED_TOKEN;
    if (content.kind === 'wake') {
      const parts = this.#wakes.of(content.payload);
      return parts === null ? UNREADABLE_CONTENT : wakeFcmBody(parts, token, leftMs);
    }
    const members = this.#legacyMembers.of(content.payload);
    return members === null ? UNREADABLE_CONTENT : legacyFcmBody(token, members);
  }

  #onRefusal(
    result: Http2Result,
    push: Push,
    signal: AbortSignal,
    authorization: string,
    mayRenew: boolean,
    resolve: (outcome: Outcome) => void,
  ): void {
    if (result.kind === 'failure') return resolve(outcomeOfFailure(result.reason));
    const retryAfterMs = parseRetryAfterMs(result.retryAfter, this.clock.nowMs(), this.#retryAfterMaxMs);
    const error = parseFcmError(result.status, result.body, retryAfterMs);
    if (isAccessTokenRefusal(error) && mayRenew && this.tokens.discard(authorization)) {
      return this.#attempt(push, signal, false, resolve);
    }
    const outcome = fcmOutcome(error, () => this.#refusals.isOfDevice(push.device.serviceId));
    if (outcome.kind === 'retry' && outcome.scope === 'notifier') this.#client.holdBack();
    resolve(outcome);
  }

  /** The same object until there is another access token: nothing in it is about the push. */
  #headers(authorization: string): OutgoingHttpHeaders {
    if (this.#lastHeaders?.['authorization'] === authorization) return this.#lastHeaders;
    this.#lastHeaders = {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': this.target.authority,
      ':path': this.target.path,
      authorization,
      'content-type': 'application/json',
    };
    return this.#lastHeaders;
  }
}

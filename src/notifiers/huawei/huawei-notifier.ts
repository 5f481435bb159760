import type { Clock } from '../../domain/clock.js';
import type { ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import { fiveMinutesAhead } from '../access-tokens.js';
import { parseTokenEndpoint } from '../client-credentials-grant.js';
import { readOptionalFile } from '../credential-files.js';
import { parseEndpoint, trustAnchors } from '../endpoint.js';
import { HttpClient, httpOptionsOf, outcomeOfHttpFailure } from '../http-client.js';
import type { Notifier, NotifierCapabilities, NotifierHealth } from '../port.js';
import { legacyWriter } from '../legacy-sending.js';
import { parseMarkers } from '../markers.js';
import { Refusals } from '../refusals.js';
import { encPayloadOf, MALFORMED_TOKEN, NOT_SEALED, UNREADABLE_CONTENT } from '../sealed-content.js';
import { isPrintableToken } from '../service-info.js';
import { LARGEST_SEALED_BYTES } from '../sealed-size.js';
import { healthWithTokens, openTokenSource, type TokenSource } from '../token-source.js';
import { wakeWriter } from '../wake-sending.js';
import { hmsOutcome, isAccessTokenRefusal, parseHmsAnswer } from './answers.js';
import {
  hmsBody,
  hmsMarkers,
  hmsMaxPayloadBytes,
  legacyHmsBody,
  legacyHmsStart,
  wakeHmsBody,
  wakeHmsStart,
} from './body.js';
import type { HuaweiEntry } from './huawei-entry.js';
import { validateHuaweiServiceInfo } from './token.js';

export interface HuaweiDependencies {
  readonly clock: Clock;
}

const HMS_ENDPOINT = 'https://push-api.cloud.huawei.com';
const HMS_TOKEN_ENDPOINT = 'https://oauth-login.cloud.huawei.com/oauth2/v2/token';
const DEFAULT_CONNECTIONS = 32;
const EXPIRED: Outcome = { kind: 'dropped', reason: 'expired' };

/**
 * Makes a notifier for HMS Push Kit, versions 1 and 2 of its REST interface; spec session-push-v2, 12.3. The error is a
 * text for the operator: which option is missing or wrong.
 */
export function createHuaweiNotifier(
  service: ServiceName,
  entry: HuaweiEntry,
  { clock }: HuaweiDependencies,
): Result<Notifier, string> {
  const path = sendPath(entry);
  if (!path.ok) return path;
  const markers = parseMarkers(entry.markers);
  if (!markers.ok) return markers;
  if (hmsMaxPayloadBytes(markers.value) < LARGEST_SEALED_BYTES) {
    return fail('markers leave no room for the payload');
  }
  const clientSecret = entry.appSecret ?? '';
  if (clientSecret === '') return fail('appSecret is missing');
  const endpoint = parseEndpoint(entry.endpoint ?? HMS_ENDPOINT);
  if (!endpoint.ok) return endpoint;
  const tokenEndpoint = parseTokenEndpoint(entry.tokenEndpoint ?? HMS_TOKEN_ENDPOINT);
  if (!tokenEndpoint.ok) return tokenEndpoint;
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const anchors = trustAnchors(ca.value);
  const clientId = entry.appId ?? '';
  const source = openTokenSource({
    credentials: { tokenEndpoint: tokenEndpoint.value, clientId, clientSecret, scope: null },
    clock,
    timeoutMs: entry.tokenTimeoutMs,
    trustAnchors: anchors,
    renewal: fiveMinutesAhead,
  });
  const client = new HttpClient(
    httpOptionsOf(entry, {
      connectionsPerOrigin: DEFAULT_CONNECTIONS,
      maxOrigins: 1,
      trustAnchors: anchors,
      guard: null,
    }),
  );
  const url = new URL(path.value, endpoint.value.origin);
  return ok(new HuaweiNotifier(service, entry, clock, source, client, { url, markers: markers.value }));
}

/** Identifiers become part of the path; Huawei's own are digits. */
const identifier = /^[A-Za-z0-9_-]{1,64}$/;

function sendPath({ apiVersion = 'v1', appId, projectId }: HuaweiEntry): Result<string, string> {
  if ((appId ?? '') === '') return fail('appId is missing');
  if (!identifier.test(appId ?? '')) return fail('appId is malformed');
  if (apiVersion === 'v1') return ok(`/v1/${appId}/messages:send`);
  if ((projectId ?? '') === '') return fail('projectId is missing: apiVersion v2 needs it');
  return identifier.test(projectId ?? '')
    ? ok(`/v2/${projectId}/messages:send`)
    : fail('projectId is malformed');
}

class HuaweiNotifier implements Notifier {
  readonly type = 'huawei';
  readonly capabilities: NotifierCapabilities;
  readonly #retryAfterMaxMs: number;
  readonly #refusals = new Refusals();
  readonly #markers: string;
  readonly #legacyStarts = legacyWriter(legacyHmsStart);
  readonly #wakeStarts = wakeWriter(wakeHmsStart);

  constructor(
    readonly service: ServiceName,
    entry: HuaweiEntry,
    private readonly clock: Clock,
    private readonly source: TokenSource,
    private readonly client: HttpClient,
    private readonly target: { readonly url: URL; readonly markers: readonly string[] },
  ) {
    this.#markers = hmsMarkers(target.markers);
    this.#retryAfterMaxMs = entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
    const connections = entry.connections ?? DEFAULT_CONNECTIONS;
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: hmsMaxPayloadBytes(target.markers),
      supportsExpiry: true,
      supportsPriority: true,
      // More would wait for a connection here, their time limit running; they wait better in the actor.
      maxInFlight: Math.min(entry.maxInFlight ?? connections, connections),
    };
  }

  validate(serviceInfo: unknown): Result<Device, ClientError> {
    return validateHuaweiServiceInfo(serviceInfo);
  }

  send(push: Push, signal: AbortSignal): Promise<Outcome> {
    return this.#attempt(push, signal, true);
  }

  health(): NotifierHealth {
    return healthWithTokens(this.source.tokens, this.client);
  }

  async close(): Promise<void> {
    await Promise.all([this.source.close(), this.client.close()]);
  }

  async #attempt(push: Push, signal: AbortSignal, mayRenew: boolean): Promise<Outcome> {
    const { tokens } = this.source;
    const token = await tokens.forRequest(signal);
    if (!token.ok) return token.error;
    const leftMs = push.expiresAtMs - this.clock.nowMs();
    if (leftMs <= 0) return EXPIRED;
    const body = this.#bodyOf(push, leftMs);
    if (typeof body !== 'string') return body;
    const result = await this.client.send({
      url: this.target.url,
      method: 'POST',
      headers: { authorization: token.value, 'content-type': 'application/json; charset=utf-8' },
      body,
      signal,
    });
    if (result.kind === 'failure') return outcomeOfHttpFailure(result.reason);
    const afterMs = parseRetryAfterMs(
      result.headers['retry-after'],
      this.clock.nowMs(),
      this.#retryAfterMaxMs,
    );
    const answer = parseHmsAnswer(result.status, result.body, afterMs);
    if (mayRenew && isAccessTokenRefusal(answer) && tokens.discard(token.value)) {
      return this.#attempt(push, signal, false);
    }
    const { serviceId } = push.device;
    const outcome = hmsOutcome(answer, () => this.#refusals.isOfDevice(serviceId));
    if (outcome.kind === 'delivered') this.#refusals.delivered(serviceId);
    return outcome;
  }

  /** An outcome: it is not sent. */
  #bodyOf({ content, device, priority }: Push, leftMs: number): string | Outcome {
    const token = device.serviceId;
    const ttlSeconds = Math.floor(leftMs / 1000);
    const payload = encPayloadOf(content);
    if (payload !== null) return hmsBody({ payload, token, priority, ttlSeconds }, this.#markers);
    if (content.kind !== 'legacy' && content.kind !== 'wake') return NOT_SEALED;
    if (!isPrintableToken(token)) return MALFORMED_TOKEN;
    const isWake = content.kind === 'wake';
    const start = (isWake ? this.#wakeStarts : this.#legacyStarts).of(content.payload);
    if (start === null) return UNREADABLE_CONTENT;
    return isWake ? wakeHmsBody(start, token, ttlSeconds) : legacyHmsBody(start, token);
  }
}

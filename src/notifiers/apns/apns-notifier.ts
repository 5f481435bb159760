import { sensitiveHeaders, type OutgoingHttpHeaders } from 'node:http2';
import type { Clock } from '../../domain/clock.js';
import type { ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { readOptionalFile } from '../credential-files.js';
import { parseOptionalEndpoint, trustAnchors } from '../endpoint.js';
import { Http2Client, http2OptionsOf } from '../http2-client.js';
import type { Http2Result } from '../http2-exchange.js';
import type { Notifier, NotifierCapabilities, NotifierHealth } from '../port.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import { LARGEST_SEALED_BYTES } from '../sealed-size.js';
import { Refusals } from '../refusals.js';
import type { ContentWriter } from '../content-writer.js';
import { legacyWriter } from '../legacy-sending.js';
import { parseMarkers } from '../markers.js';
import {
  encPayloadOf,
  LEGACY_CONTENT,
  MALFORMED_TOKEN,
  NOT_SEALED,
  UNREADABLE_CONTENT,
} from '../sealed-content.js';
import { outcomeOfFailure } from '../transport-outcome.js';
import { wakeWriter } from '../wake-sending.js';
import { apnsOutcome, parseApnsBody } from './answers.js';
import type { ApnsEntry } from './apns-entry.js';
import { createApnsBodyTemplate, type ApnsBodyTemplate } from './body.js';
import { certificateExpiryMs, loadApnsCredentials } from './credentials.js';
import { createLegacyApnsBody } from './legacy-body.js';
import { connectNodeApn, type ApnsConnector } from './node-apn-connector.js';
import { apnsPushHeaders, type ApnsPushHeaders } from './push-type.js';
import type { ProviderToken, ProviderTokens } from './provider-tokens.js';
import { isHexToken, validateApnsServiceInfo } from './token.js';
import { createApnsWakeWriter, isTopicOfCalls, type ApnsWakeRequest } from './wake-request.js';

export interface ApnsDependencies {
  readonly clock: Clock;
  readonly providerTokens: ProviderTokens;
}

const TOKEN_LIFETIME_MS = 50 * 60_000;
const EXPIRY_WARNING_MS = 30 * 24 * 3_600_000;
const DELIVERED: Outcome = { kind: 'delivered' };
const EXPIRED: Outcome = { kind: 'dropped', reason: 'expired' };
/** For what is no call, where the entry's topic takes calls alone: Apple would refuse it. */
const CALLS_ONLY: Outcome = { kind: 'dropped', reason: 'calls-only' };
/**
 * Never indexed, as Apple asks: they differ in every request and would push the constant headers out of the
 * compression table, and a device token has no business in a table.
 */
const neverIndexed = [':path', 'authorization', 'apns-id', 'apns-expiration', 'apns-collapse-id'];

/**
 * Makes a notifier for Apple's service; spec session-push-v2, 12.1. The error is a text for the operator: which option
 * is missing or wrong.
 */
export function createApnsNotifier(
  service: ServiceName,
  entry: ApnsEntry,
  { clock, providerTokens }: ApnsDependencies,
): Result<Notifier, string> {
  if (entry.topic === '') return fail('topic is missing');
  const pushHeaders = apnsPushHeaders(entry);
  if (!pushHeaders.ok) return pushHeaders;
  const markers = parseMarkers(entry.markers);
  if (!markers.ok) return markers;
  const credentials = loadApnsCredentials(entry, clock);
  if (!credentials.ok) return credentials;
  const endpoint = parseOptionalEndpoint(entry.endpoint);
  if (!endpoint.ok) return endpoint;
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const template = createApnsBodyTemplate(entry);
  if (template.maxPayloadBytes < LARGEST_SEALED_BYTES) {
    return fail('alertTitle, alertBody, sound, category and markers leave no room for the payload');
  }
  const connector = connectNodeApn({
    credentials: credentials.value,
    sandbox: entry.sandbox,
    endpoint: endpoint.value,
    trustAnchors: trustAnchors(ca.value),
  });
  if (!connector.ok) return connector;
  const { signer } = connector.value;
  const token =
    signer === null || credentials.value.kind !== 'token'
      ? null
      : providerTokens.of(credentials.value, signer, entry.tokenLifetimeMs ?? TOKEN_LIFETIME_MS);
  const authority =
    endpoint.value?.authority ?? (entry.sandbox ? 'api.sandbox.push.apple.com' : 'api.push.apple.com');
  return ok(
    new ApnsNotifier(service, entry, clock, template, connector.value, token, {
      ...pushHeaders.value,
      authority,
      expiresAtMs: certificateExpiryMs(credentials.value),
    }),
  );
}

interface ApnsFacts extends ApnsPushHeaders {
  readonly authority: string;
  /** When our certificate runs out. */
  readonly expiresAtMs: number | null;
}

class ApnsNotifier implements Notifier {
  readonly type = 'apns';
  readonly capabilities: NotifierCapabilities;
  readonly #client: Http2Client;
  readonly #retryAfterMaxMs: number;
  readonly #refusals = new Refusals();
  readonly #collapse: boolean;
  readonly #legacyBodies: ContentWriter<string>;
  readonly #wakes: ContentWriter<ApnsWakeRequest>;

  constructor(
    readonly service: ServiceName,
    private readonly entry: ApnsEntry,
    private readonly clock: Clock,
    private readonly template: ApnsBodyTemplate,
    private readonly connector: ApnsConnector,
    private readonly token: ProviderToken | null,
    private readonly facts: ApnsFacts,
  ) {
    const http2 = http2OptionsOf(entry);
    this.#client = new Http2Client(() => connector.openSession(), http2);
    this.#retryAfterMaxMs = entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
    this.#collapse = entry.collapseRepeats ?? false;
    this.#legacyBodies = legacyWriter(createLegacyApnsBody(entry));
    this.#wakes = wakeWriter(createApnsWakeWriter(entry));
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: template.maxPayloadBytes,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: http2.maxInFlight * http2.connections,
    };
  }

  validate(serviceInfo: unknown): Result<Device, ClientError> {
    return validateApnsServiceInfo(serviceInfo);
  }

  send(push: Push, signal: AbortSignal): Promise<Outcome> {
    if (push.expiresAtMs <= this.clock.nowMs()) return Promise.resolve(EXPIRED);
    const payload = encPayloadOf(push.content);
    if (payload === null) return this.#sendOther(push, signal);
    const body = this.template.prefix + payload + this.template.suffix;
    return this.#begin(push, body, null, signal);
  }

  health(): NotifierHealth {
    const { connections, isConnected, lastFailure } = this.#client;
    if (lastFailure !== null) return { state: 'failing', detail: lastFailure, connections };
    return { state: isConnected ? 'connected' : 'idle', detail: this.#expiryWarning(), connections };
  }

  async close(): Promise<void> {
    this.#client.close();
    this.connector.shutdown();
  }

  /** Apart from `send`, which is for nearly all pushes. */
  #sendOther(push: Push, signal: AbortSignal): Promise<Outcome> {
    const { kind, payload } = push.content;
    if (kind !== 'legacy' && kind !== 'wake') return Promise.resolve(NOT_SEALED);
    if (kind === 'legacy' && this.facts.legacyPriority === null) return Promise.resolve(LEGACY_CONTENT);
    if (!isHexToken(push.device.serviceId)) return Promise.resolve(MALFORMED_TOKEN);
    if (kind === 'wake') return this.#sendWake(push, payload, signal);
    const body = this.#legacyBodies.of(payload);
    return body === null ? Promise.resolve(UNREADABLE_CONTENT) : this.#begin(push, body, null, signal);
  }

  #sendWake(push: Push, payload: Buffer, signal: AbortSignal): Promise<Outcome> {
    const wake = this.#wakes.of(payload);
    if (wake === null) return Promise.resolve(UNREADABLE_CONTENT);
    if (wake.pushType !== 'voip' && isTopicOfCalls(wake.topic)) return Promise.resolve(CALLS_ONLY);
    return this.#begin(push, wake.body, wake, signal);
  }

  #begin(push: Push, body: string, wake: ApnsWakeRequest | null, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve) => this.#attempt(push, body, wake, signal, true, resolve));
  }

  #attempt(
    push: Push,
    body: string,
    wake: ApnsWakeRequest | null,
    signal: AbortSignal,
    mayRenew: boolean,
    resolve: (outcome: Outcome) => void,
  ): void {
    const authorization = this.token?.authorization() ?? null;
    const request = { headers: this.#headers(push, wake, authorization), body, signal };
    this.#client.send(request, (result) => {
      if (result.kind === 'answer' && result.status === 200) {
        this.#refusals.delivered(push.device.serviceId);
        return resolve(DELIVERED);
      }
      if (
        mayRenew &&
        authorization !== null &&
        isExpiredToken(result) &&
        this.token?.renewAfterRefusal(authorization)
      ) {
        return this.#attempt(push, body, wake, signal, false, resolve);
      }
      resolve(this.#outcome(result, push.device.serviceId));
    });
  }

  #outcome(result: Http2Result, device: string): Outcome {
    if (result.kind === 'failure') return outcomeOfFailure(result.reason);
    const { reason, timestampMs } = parseApnsBody(result.body);
    if (reason === 'Shutdown') this.#client.renewConnections();
    const retryAfterMs = parseRetryAfterMs(result.retryAfter, this.clock.nowMs(), this.#retryAfterMaxMs);
    const answer = { status: result.status, reason, timestampMs, retryAfterMs };
    const outcome = apnsOutcome(answer, () => this.#refusals.isOfDevice(device));
    if (outcome.kind === 'retry' && outcome.scope === 'notifier') this.#client.holdBack();
    return outcome;
  }

  #headers(push: Push, wake: ApnsWakeRequest | null, authorization: string | null): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders =
      push.content.kind === 'legacy'
        ? this.#legacyHeaders(push)
        : {
            ':method': 'POST',
            ':scheme': 'https',
            ':authority': this.facts.authority,
            ':path': `/3/device/${push.device.serviceId}`,
            'apns-topic': wake === null ? this.entry.topic : wake.topic,
            'apns-push-type': wake === null ? this.facts.pushType : wake.pushType,
            'apns-priority': wake === null ? this.facts.priorities[push.priority] : wake.priority,
            'apns-expiration': `${Math.floor(push.expiresAtMs / 1000)}`,
            'apns-id': uuidOf(push.dedupeKey),
            [sensitiveHeaders]: neverIndexed,
          };
    if (authorization !== null) headers['authorization'] = authorization;
    const collapseId = wake?.collapseId ?? (this.#collapse ? push.dedupeKey.hexSlice() : null);
    if (collapseId !== null) headers['apns-collapse-id'] = collapseId;
    return headers;
  }

  /** As the original's: without an expiry, so Apple keeps it as long as it likes (spec session-push-v1, 4.1). */
  #legacyHeaders(push: Push): OutgoingHttpHeaders {
    return {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': this.facts.authority,
      ':path': `/3/device/${push.device.serviceId}`,
      'apns-topic': this.entry.topic,
      'apns-push-type': 'alert',
      'apns-priority': this.facts.legacyPriority ?? '10',
      'apns-id': uuidOf(push.dedupeKey),
      [sensitiveHeaders]: neverIndexed,
    };
  }

  #expiryWarning(): string | null {
    if (this.facts.expiresAtMs === null) return null;
    const leftMs = this.facts.expiresAtMs - this.clock.nowMs();
    if (leftMs >= EXPIRY_WARNING_MS) return null;
    return leftMs <= 0
      ? 'certificate expired'
      : `certificate expires in ${Math.ceil(leftMs / 86_400_000)} days`;
  }
}

function isExpiredToken(result: Http2Result): boolean {
  return (
    result.kind === 'answer' &&
    result.status === 403 &&
    parseApnsBody(result.body).reason === 'ExpiredProviderToken'
  );
}

/** 16 bytes as a UUID of version 8 (RFC 9562: bytes of the maker's own meaning), equal for all attempts of a push. */
export function uuidOf(bytes: Buffer): string {
  const hex = bytes.hexSlice();
  const variant = '89ab'[(bytes[8] ?? 0) & 3];
  return (
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-` +
    `${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  );
}

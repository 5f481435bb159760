import { blake2b } from '../../crypto/keyed-hash.js';
import { encryptWebPush } from '../../crypto/web-push.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import { assertNever } from '../../domain/assert-never.js';
import type { Clock } from '../../domain/clock.js';
import { badValue, clientError, clientErrorCode, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { SERVICE_ID_MAX_BYTES, type ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { readOptionalFile } from '../credential-files.js';
import { trustAnchors } from '../endpoint.js';
import { EndpointGuard, invalidNetwork } from '../endpoint-guard.js';
import { EndpointPauses } from '../endpoint-pauses.js';
import { HttpClient, httpOptionsOf, type HttpClientOptions } from '../http-client.js';
import { OriginGates, type GateResult } from '../origin-gates.js';
import type { Notifier, NotifierCapabilities, NotifierHealth, ValidationPurpose } from '../port.js';
import { encPayloadOf, NOT_SEALED } from '../sealed-content.js';
import { deviceOf } from '../service-info.js';
import { isKnownOrigin, strangerOf } from '../webpush/answers.js';
import { WEBPUSH_MAX_PAYLOAD_BYTES, webpushText } from '../webpush/body.js';
import {
  decodeSubscriberData,
  encodeSubscriberData,
  type SubscriberData,
} from '../webpush/subscriber-data.js';
import { loadVapidKeys, subjectProblem, VapidTokens, type VapidKeys } from '../webpush/vapid.js';
import { verdictOfAnswer, verdictOfFailure, type Verdict } from './answers.js';
import { EndpointDiscovery, type Discovery } from './discovery.js';
import { readAllowedEndpoint, readEndpoint, readSubscriber } from './subscriber.js';
import type { UnifiedpushEntry } from './unifiedpush-entry.js';

export interface UnifiedpushDependencies {
  readonly clock: Clock;
}

/** Four weeks, as for Web Push; a server keeps it for a shorter time if it likes. */
const MAX_TTL_SECONDS = 2_419_200;
const MAX_IN_FLIGHT = 256;
const CONNECTIONS_PER_ORIGIN = 8;
/** Requests that one server may have waiting for each of its connections, so that these are never idle. */
const REQUESTS_PER_CONNECTION = 4;
/** Share of the requests that servers may have together that nobody knows yet: see `OriginGates`. */
const STRANGERS_SHARE = 1 / 4;
/** 32 characters, the most that a Topic may have (RFC 8030, 5.4). */
const TOPIC_BYTES = 24;
/** An answer to a discovery is 31 bytes. */
const DISCOVERY_MAX_BYTES = 4_096;
const DISCOVERY_CONNECTIONS = 4;
const DISCOVERY_ORIGINS = 32;

const dropped = (reason: string): Outcome => ({ kind: 'dropped', reason });
const EXPIRED = dropped('expired');
const TOO_LARGE = dropped('too-large');
const SERVICE_DATA_CORRUPT = dropped('service-data-corrupt');
const ENDPOINT_NOT_ALLOWED = dropped('endpoint-not-allowed');

interface Vapid {
  readonly keys: VapidKeys;
  readonly tokens: VapidTokens;
}

/**
 * Makes a notifier for UnifiedPush distributors (ntfy, NextPush, ...): "Server" 1.2.0, and RFC 8030 and 8291 for apps
 * that give keys. The error is a text for the operator: which option is missing or wrong.
 */
export function createUnifiedpushNotifier(
  service: ServiceName,
  entry: UnifiedpushEntry,
  { clock }: UnifiedpushDependencies,
): Result<Notifier, string> {
  const vapid = loadVapid(entry, clock);
  if (!vapid.ok) return vapid;
  const allowNetworks = entry.allowNetworks ?? [];
  if (invalidNetwork(allowNetworks) !== null) return fail('allowNetworks: expected ADDRESS/BITS');
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const guard = new EndpointGuard({
    allowHttp: entry.allowHttp ?? false,
    allowNetworks,
    ports: entry.ports ?? [443],
    maxUrlLength: SERVICE_ID_MAX_BYTES,
  });
  const connections = entry.connections ?? CONNECTIONS_PER_ORIGIN;
  const http = httpOptionsOf({ ...entry, connections }, { trustAnchors: trustAnchors(ca.value), guard });
  return ok(new UnifiedpushNotifier(service, entry, clock, { guard, http, vapid: vapid.value }));
}

function loadVapid(entry: UnifiedpushEntry, clock: Clock): Result<Vapid | null, string> {
  const files = entry.vapidKeyFiles ?? [];
  if (files.length === 0) return ok(null);
  const keys = loadVapidKeys(files);
  if (!keys.ok) return keys;
  const subject = entry.subject ?? '';
  if (subject === '') return fail('subject is missing');
  const problem = subjectProblem(subject);
  return problem === null ? ok({ keys: keys.value, tokens: new VapidTokens(subject, clock) }) : fail(problem);
}

class UnifiedpushNotifier implements Notifier {
  readonly type = 'unifiedpush';
  readonly serverOf = strangerOf;
  readonly capabilities: NotifierCapabilities;
  readonly #guard: EndpointGuard;
  readonly #vapid: Vapid | null;
  readonly #client: HttpClient;
  /** Of its own, so that clients who name hanging servers hold up no pushes. */
  readonly #discoveryClient: HttpClient;
  readonly #discovery: EndpointDiscovery | null;
  readonly #gates: OriginGates;
  readonly #pauses = new EndpointPauses();
  readonly #retryAfterMaxMs: number;

  constructor(
    readonly service: ServiceName,
    entry: UnifiedpushEntry,
    private readonly clock: Clock,
    parts: {
      readonly guard: EndpointGuard;
      readonly http: HttpClientOptions;
      readonly vapid: Vapid | null;
    },
  ) {
    this.#guard = parts.guard;
    this.#vapid = parts.vapid;
    this.#client = new HttpClient(parts.http);
    this.#discoveryClient = new HttpClient({
      ...parts.http,
      connectionsPerOrigin: DISCOVERY_CONNECTIONS,
      maxOrigins: DISCOVERY_ORIGINS,
      maxResponseBytes: DISCOVERY_MAX_BYTES,
    });
    this.#discovery = (entry.discovery ?? true) ? new EndpointDiscovery(this.#discoveryClient, clock) : null;
    this.#retryAfterMaxMs = entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
    this.#gates = new OriginGates({
      maxInFlight: parts.http.connectionsPerOrigin * REQUESTS_PER_CONNECTION,
      strangersInFlight: Math.ceil((entry.maxInFlight ?? MAX_IN_FLIGHT) * STRANGERS_SHARE),
      isKnown: isKnownOrigin,
      pauseMaxMs: this.#retryAfterMaxMs,
    });
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: WEBPUSH_MAX_PAYLOAD_BYTES,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: entry.maxInFlight ?? MAX_IN_FLIGHT,
    };
  }

  validate(
    serviceInfo: unknown,
    purpose: ValidationPurpose,
  ): Result<Device, ClientError> | Promise<Result<Device, ClientError>> {
    if (purpose === 'unsubscribe') {
      // Whoever leaves may do so also when the options have changed meanwhile.
      const endpoint = readEndpoint(serviceInfo);
      return endpoint.ok ? deviceOf(endpoint.value.href) : endpoint;
    }
    const endpoint = readAllowedEndpoint(serviceInfo, this.#guard);
    if (!endpoint.ok) return endpoint;
    const subscriber = readSubscriber(serviceInfo, this.#vapid?.keys ?? null);
    if (!subscriber.ok) return subscriber;
    const url = endpoint.value;
    const device = deviceOf(url.href, encodeSubscriberData(subscriber.value));
    if (!device.ok || this.#discovery === null || isKnownPushService(url, subscriber.value)) return device;
    const known = this.#discovery.known(url);
    if (known !== null) return admit(known, device.value);
    return this.#discovery.ask(url).then((found) => admit(found, device.value));
  }

  async send(push: Push, signal: AbortSignal): Promise<Outcome> {
    const nowMs = this.clock.nowMs();
    if (push.expiresAtMs <= nowMs) return EXPIRED;
    const payload = encPayloadOf(push.content);
    if (payload === null) return NOT_SEALED;
    if (push.content.payload.length > WEBPUSH_MAX_PAYLOAD_BYTES) return TOO_LARGE;
    const { serviceId, serviceData } = push.device;
    const url = this.#guard.checkUrl(serviceId);
    if (!url.ok) return ENDPOINT_NOT_ALLOWED;
    const subscriber = decodeSubscriberData(serviceData);
    if (subscriber === null) return SERVICE_DATA_CORRUPT;
    const pausedMs = this.#pauses.leftMs(serviceId, nowMs);
    if (pausedMs > 0) return { kind: 'postponed', reason: 'endpoint-paused', afterMs: pausedMs };
    const { origin } = url.value;
    const refusal = this.#gates.enter(origin, nowMs);
    if (refusal !== null) {
      return { kind: 'postponed', reason: refusal.reason, afterMs: refusal.postponeMs };
    }
    let learnt: GateResult = { kind: 'unknown' };
    try {
      const verdict = await this.#request(push, url.value, webpushText(payload), subscriber, signal);
      learnt = verdict.origin;
      if (verdict.pauseEndpointMs > 0)
        this.#pauses.pause(serviceId, this.clock.nowMs() + verdict.pauseEndpointMs);
      return verdict.outcome;
    } finally {
      this.#gates.leave(origin, this.clock.nowMs(), learnt, serviceId);
    }
  }

  /** A server that does not answer says nothing about the others. */
  health(): NotifierHealth {
    return { state: this.#client.isConnected ? 'connected' : 'idle', detail: null };
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#discoveryClient.close()]);
  }

  async #request(
    push: Push,
    url: URL,
    plaintext: Buffer,
    subscriber: SubscriberData,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const result = await this.#client.send({
      url,
      method: 'POST',
      headers: this.#headers(push, url, subscriber),
      body: subscriber.keys === null ? plaintext : encryptWebPush(plaintext, subscriber.keys),
      signal,
    });
    if (result.kind === 'failure') return verdictOfFailure(result.reason);
    const retryAfter = result.headers['retry-after'];
    const nowMs = this.clock.nowMs();
    return verdictOfAnswer(result.status, parseRetryAfterMs(retryAfter, nowMs, this.#retryAfterMaxMs));
  }

  /** RFC 8030, 5; a server that knows nothing of them ignores what it does not know. */
  #headers(push: Push, url: URL, { keys, vapidKeyId }: SubscriberData): Readonly<Record<string, string>> {
    const ttlSeconds = Math.floor((push.expiresAtMs - this.clock.nowMs()) / 1000);
    const authorization = this.#authorizationFor(url.origin, vapidKeyId);
    return {
      'content-type': 'application/octet-stream',
      ttl: String(Math.min(MAX_TTL_SECONDS, Math.max(1, ttlSeconds))),
      urgency: push.priority,
      ...(keys === null ? {} : { 'content-encoding': 'aes128gcm', topic: topicOf(push.dedupeKey) }),
      ...(authorization === null ? {} : { authorization }),
    };
  }

  /** Signed with the key that the app registered with, as long as we have it, otherwise with the preferred one. */
  #authorizationFor(origin: string, vapidKeyId: Buffer | null): string | null {
    if (this.#vapid === null) return null;
    const { keys, tokens } = this.#vapid;
    const key = vapidKeyId === null ? null : keys.ofId(vapidKeyId);
    return tokens.authorization(key ?? keys.preferred, origin);
  }
}

/** A message that is sent again takes the place of the first one, if that still waits (RFC 8030, 5.4). */
const topicOf = (dedupeKey: Buffer): string => blake2b(TOPIC_BYTES, [dedupeKey]).toString('base64url');

/**
 * Distributors such as Sunup, or those built into apps, hand out endpoints of the browsers' push services. These are
 * Web Push, not UnifiedPush: they take encrypted messages and know no discovery.
 */
const isKnownPushService = (url: URL, { keys }: SubscriberData): boolean =>
  keys !== null && isKnownOrigin(url.origin);

function admit(found: Discovery, device: Device): Result<Device, ClientError> {
  switch (found) {
    case 'unifiedpush':
      return ok(device);
    case 'not-unifiedpush':
      return fail(badValue('Invalid endpoint: it does not answer as a UnifiedPush server'));
    case 'forbidden':
      return fail(badValue('Invalid endpoint: address not allowed'));
    case 'unreachable':
      return fail(clientError(clientErrorCode.serviceTimeout, 'The endpoint could not be reached'));
    case 'busy':
      return fail(clientError(clientErrorCode.serviceTimeout, 'Too many endpoints to ask; try again'));
    default:
      return assertNever(found);
  }
}

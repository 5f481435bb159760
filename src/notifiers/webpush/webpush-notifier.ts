import { blake2b } from '../../crypto/keyed-hash.js';
import type { VapidKey } from '../../crypto/vapid-key.js';
import { encryptWebPush, type WebPushKeys } from '../../crypto/web-push.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import type { Clock } from '../../domain/clock.js';
import type { ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { SERVICE_ID_MAX_BYTES, type ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { readOptionalFile } from '../credential-files.js';
import { trustAnchors } from '../endpoint.js';
import { EndpointGuard, invalidNetwork } from '../endpoint-guard.js';
import type { ResolveName } from '../endpoint-names.js';
import { EndpointPauses } from '../endpoint-pauses.js';
import { HttpClient, httpOptionsOf, type HttpResult } from '../http-client.js';
import { OriginGates, type GateResult } from '../origin-gates.js';
import type { Notifier, NotifierCapabilities, NotifierHealth, ValidationPurpose } from '../port.js';
import { encPayloadOf, NOT_SEALED } from '../sealed-content.js';
import {
  isKnownOrigin,
  judgeAnswer,
  parseAnswer,
  pushServiceOf,
  strangerOf,
  type Verdict,
} from './answers.js';
import { WEBPUSH_MAX_PAYLOAD_BYTES, webpushText } from './body.js';
import { OriginDeliveries } from './origin-deliveries.js';
import { decodeSubscriber, readSubscription } from './subscriber.js';
import { loadVapidKeys, subjectProblem, VapidTokens, type VapidKeys } from './vapid.js';
import type { WebpushEntry } from './webpush-entry.js';

export interface WebpushDependencies {
  readonly clock: Clock;
  /** Default: the name servers of this machine. */
  readonly resolve?: ResolveName;
}

/** Four weeks: no push service keeps a message longer. */
const MAX_TTL_SECONDS = 2_419_200;
const MAX_IN_FLIGHT = 256;
const CONNECTIONS_PER_ORIGIN = 8;
/** Requests that one push service may have waiting for each of its connections, so that these are never idle. */
const REQUESTS_PER_CONNECTION = 4;
/** Share of the requests that servers may have together that nobody knows yet: see `OriginGates`. */
const STRANGERS_SHARE = 1 / 4;
/** 32 characters, the most that a Topic may have (RFC 8030, 5.4); Apple wants whole groups of four as well. */
const TOPIC_BYTES = 24;

const dropped = (reason: string): Outcome => ({ kind: 'dropped', reason });
const EXPIRED = dropped('expired');
const TOO_LARGE = dropped('too-large');
const SERVICE_DATA_CORRUPT = dropped('service-data-corrupt');
const ENDPOINT_NOT_ALLOWED = dropped('endpoint-not-allowed');
/** The file of the key that the browser subscribed with was taken out of the options. */
const VAPID_KEY_GONE = dropped('vapid-key-gone');

/** A `Notifier` whose clients must know a public key before they can subscribe anywhere. */
export interface WebpushNotifier extends Notifier {
  /** 65 bytes each in base64url (`applicationServerKey`), the preferred one first; never empty. */
  readonly vapidPublicKeys: readonly string[];
}

/**
 * Makes a notifier for browsers: Web Push (RFC 8030) with VAPID (RFC 8292), encrypted for the browser (RFC 8291). The
 * error is a text for the operator: which option is missing or wrong.
 */
export function createWebpushNotifier(
  service: ServiceName,
  entry: WebpushEntry,
  { clock, resolve }: WebpushDependencies,
): Result<WebpushNotifier, string> {
  const vapidKeys = loadVapidKeys(entry.vapidKeyFiles ?? []);
  if (!vapidKeys.ok) return vapidKeys;
  const subject = entry.subject ?? '';
  if (subject === '') return fail('subject is missing');
  const problem = subjectProblem(subject);
  if (problem !== null) return fail(problem);
  const allowNetworks = entry.allowNetworks ?? [];
  if (invalidNetwork(allowNetworks) !== null) return fail('allowNetworks: expected ADDRESS/BITS');
  const ca = readOptionalFile('caFile', entry.caFile);
  if (!ca.ok) return ca;
  const guard = new EndpointGuard({
    allowHttp: entry.allowHttp ?? false,
    allowNetworks,
    ports: entry.ports ?? [443],
    maxUrlLength: SERVICE_ID_MAX_BYTES,
    ...(resolve === undefined ? {} : { resolve }),
  });
  const connections = entry.connections ?? CONNECTIONS_PER_ORIGIN;
  const http = httpOptionsOf({ ...entry, connections }, { trustAnchors: trustAnchors(ca.value), guard });
  return ok(
    new BrowserNotifier(service, entry, clock, {
      guard,
      vapidKeys: vapidKeys.value,
      tokens: new VapidTokens(subject, clock),
      client: new HttpClient(http),
      gates: new OriginGates({
        maxInFlight: connections * REQUESTS_PER_CONNECTION,
        strangersInFlight: Math.ceil((entry.maxInFlight ?? MAX_IN_FLIGHT) * STRANGERS_SHARE),
        isKnown: isKnownOrigin,
        pauseMaxMs: entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS,
      }),
    }),
  );
}

interface Parts {
  readonly guard: EndpointGuard;
  readonly vapidKeys: VapidKeys;
  readonly tokens: VapidTokens;
  readonly client: HttpClient;
  readonly gates: OriginGates;
}

/** One push, ready but for the encryption. */
interface Message {
  readonly url: URL;
  readonly plaintext: Buffer;
  readonly keys: WebPushKeys;
  readonly vapidKey: VapidKey;
  readonly ttlSeconds: number;
}

class BrowserNotifier implements WebpushNotifier {
  readonly type = 'webpush';
  readonly serverOf = strangerOf;
  readonly capabilities: NotifierCapabilities;
  readonly vapidPublicKeys: readonly string[];
  readonly #parts: Parts;
  readonly #deliveries = new OriginDeliveries();
  readonly #pauses = new EndpointPauses();
  readonly #maxTtlSeconds: number;
  readonly #retryAfterMaxMs: number;
  readonly #hasTopic: boolean;
  /** Why the push services refuse us; null when they do not. */
  #refusal: string | null = null;

  constructor(
    readonly service: ServiceName,
    entry: WebpushEntry,
    private readonly clock: Clock,
    parts: Parts,
  ) {
    this.#parts = parts;
    this.#maxTtlSeconds = entry.maxTtlSeconds ?? MAX_TTL_SECONDS;
    this.#retryAfterMaxMs = entry.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
    this.#hasTopic = entry.topic ?? true;
    this.vapidPublicKeys = parts.vapidKeys.publicTexts;
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: WEBPUSH_MAX_PAYLOAD_BYTES,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: entry.maxInFlight ?? MAX_IN_FLIGHT,
    };
  }

  validate(serviceInfo: unknown, purpose: ValidationPurpose): Result<Device, ClientError> {
    return readSubscription(serviceInfo, purpose, this.#parts.guard, this.#parts.vapidKeys);
  }

  async send(push: Push, signal: AbortSignal): Promise<Outcome> {
    const message = this.#messageFor(push);
    if (!message.ok) return message.error;
    const nowMs = this.clock.nowMs();
    const { serviceId } = push.device;
    const pausedMs = this.#pauses.leftMs(serviceId, nowMs);
    if (pausedMs > 0) return { kind: 'postponed', reason: 'endpoint-paused', afterMs: pausedMs };
    const { gates } = this.#parts;
    const { origin } = message.value.url;
    const refusal = gates.enter(origin, nowMs);
    if (refusal !== null) {
      return { kind: 'postponed', reason: refusal.reason, afterMs: refusal.postponeMs };
    }
    let learnt: GateResult = { kind: 'unknown' };
    try {
      const verdict = await this.#request(push, message.value, signal);
      learnt = verdict.origin;
      const { pauseEndpointMs } = verdict;
      if (pauseEndpointMs > 0) this.#pauses.pause(serviceId, this.clock.nowMs() + pauseEndpointMs);
      return verdict.outcome;
    } finally {
      gates.leave(origin, this.clock.nowMs(), learnt, serviceId);
    }
  }

  /** A push service that does not answer says nothing about the others, so only refusals of ours count here. */
  health(): NotifierHealth {
    if (this.#refusal !== null) return { state: 'failing', detail: this.#refusal };
    return { state: this.#parts.client.isConnected ? 'connected' : 'idle', detail: null };
  }

  close(): Promise<void> {
    return this.#parts.client.close();
  }

  #messageFor(push: Push): Result<Message, Outcome> {
    const leftMs = push.expiresAtMs - this.clock.nowMs();
    if (leftMs <= 0) return fail(EXPIRED);
    const payload = encPayloadOf(push.content);
    if (payload === null) return fail(NOT_SEALED);
    if (push.content.payload.length > WEBPUSH_MAX_PAYLOAD_BYTES) return fail(TOO_LARGE);
    const { guard, vapidKeys } = this.#parts;
    const url = guard.checkUrl(push.device.serviceId);
    if (!url.ok) return fail(ENDPOINT_NOT_ALLOWED);
    const subscriber = decodeSubscriber(push.device.serviceData);
    if (subscriber === null) return fail(SERVICE_DATA_CORRUPT);
    const vapidKey = vapidKeys.ofId(subscriber.vapidKeyId);
    if (vapidKey === null) return fail(VAPID_KEY_GONE);
    return ok({
      url: url.value,
      plaintext: webpushText(payload),
      keys: subscriber.keys,
      vapidKey,
      // A TTL of 0 is for "now or never", and Apple refuses it.
      ttlSeconds: Math.min(this.#maxTtlSeconds, Math.max(1, Math.floor(leftMs / 1000))),
    });
  }

  async #request(push: Push, message: Message, signal: AbortSignal): Promise<Verdict> {
    const { url, plaintext, keys } = message;
    const result = await this.#parts.client.send({
      url,
      method: 'POST',
      headers: this.#headers(push, message),
      body: encryptWebPush(plaintext, keys),
      signal,
    });
    return result.kind === 'failure' ? verdictOfFailure(result.reason) : this.#judge(push, message, result);
  }

  #judge(
    { device }: Push,
    { url, vapidKey }: Message,
    { status, headers, body }: Extract<HttpResult, { kind: 'answer' }>,
  ): Verdict {
    const nowMs = this.clock.nowMs();
    const retryAfterMs = parseRetryAfterMs(headers['retry-after'], nowMs, this.#retryAfterMaxMs);
    const answer = parseAnswer(url.hostname, status, headers, body, retryAfterMs);
    // A client may name another of our keys later, with which the same endpoint refuses us.
    const subscription = `${vapidKey.publicText} ${device.serviceId}`;
    const verdict = judgeAnswer(answer, this.#deliveries.of(url.origin, subscription));
    if (verdict.outcome.kind === 'delivered') {
      this.#deliveries.delivered(url.origin, subscription);
      this.#refusal = null;
    } else if (verdict.outcome.kind === 'misconfigured') {
      this.#refusal = verdict.outcome.reason;
    }
    return verdict;
  }

  /** RFC 8030, 5; RFC 8291, 4; RFC 8292, 3. */
  #headers(push: Push, { url, vapidKey, ttlSeconds }: Message): Readonly<Record<string, string>> {
    return {
      authorization: this.#parts.tokens.authorization(vapidKey, url.origin),
      'content-encoding': 'aes128gcm',
      'content-type': 'application/octet-stream',
      ttl: String(ttlSeconds),
      urgency: push.priority,
      ...(this.#hasTopic ? { topic: topicOf(push.dedupeKey) } : {}),
      // Microsoft's refuses a TTL that its own header does not agree with.
      ...(pushServiceOf(url.hostname) === 'microsoft'
        ? { 'x-wns-cache-policy': ttlSeconds === 0 ? 'no-cache' : 'cache' }
        : {}),
    };
  }
}

/** A message that is sent again takes the place of the first one, if that still waits (RFC 8030, 5.4). */
const topicOf = (dedupeKey: Buffer): string => blake2b(TOPIC_BYTES, [dedupeKey]).toString('base64url');

/** No answer: it is this origin's trouble, never the notifier's. */
function verdictOfFailure(reason: Extract<HttpResult, { kind: 'failure' }>['reason']): Verdict {
  const saysNothing = reason === 'forbidden-address' || reason === 'aborted' || reason === 'closed';
  return {
    outcome:
      reason === 'forbidden-address'
        ? dropped(reason)
        : { kind: 'retry', reason, cause: 'server', afterMs: null, scope: 'push' },
    origin: { kind: saysNothing ? 'unknown' : 'failed' },
    pauseEndpointMs: 0,
  };
}

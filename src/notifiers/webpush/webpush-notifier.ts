import type { VapidKey } from '../../crypto/vapid-key.js';
import { encryptWebPush, type WebPushKeys } from '../../crypto/web-push.js';
import { parseRetryAfterMs } from '../../delivery-rules/retry-after.js';
import type { Clock } from '../../domain/clock.js';
import type { ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { ResolveName } from '../endpoint-names.js';
import { openEndpointTools, type EndpointTools } from '../endpoint-traffic.js';
import { verdictOfFailure, type Verdict } from '../endpoint-verdict.js';
import { HttpClient, type HttpResult } from '../http-client.js';
import type { Notifier, NotifierCapabilities, NotifierHealth, ValidationPurpose } from '../port.js';
import { pushServiceOf, strangerOf } from '../push-services.js';
import { judgeAnswer, parseAnswer } from './answers.js';
import { WEBPUSH_MAX_PAYLOAD_BYTES } from './body.js';
import {
  EndpointMessages,
  MAX_TTL_SECONDS,
  SERVICE_DATA_CORRUPT,
  topicOf,
  type EndpointMessage,
} from './message.js';
import { OriginDeliveries } from './origin-deliveries.js';
import { readSubscription } from './subscriber.js';
import { loadVapidKeys, subjectProblem, VapidTokens, type VapidKeys } from './vapid.js';
import type { WebpushEntry } from './webpush-entry.js';

export interface WebpushDependencies {
  readonly clock: Clock;
  /** Default: the name servers of this machine. */
  readonly resolve?: ResolveName;
}

/** The file of the key that the browser subscribed with was taken out of the options. */
const VAPID_KEY_GONE: Outcome = { kind: 'dropped', reason: 'vapid-key-gone' };

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
  const tools = openEndpointTools(entry, clock, resolve);
  if (!tools.ok) return tools;
  return ok(
    new BrowserNotifier(service, entry, clock, tools.value, {
      vapidKeys: vapidKeys.value,
      tokens: new VapidTokens(subject, clock),
      client: new HttpClient(tools.value.http),
    }),
  );
}

interface Parts {
  readonly vapidKeys: VapidKeys;
  readonly tokens: VapidTokens;
  readonly client: HttpClient;
}

interface Message extends EndpointMessage {
  readonly keys: WebPushKeys;
  readonly vapidKey: VapidKey;
}

class BrowserNotifier implements WebpushNotifier {
  readonly type = 'webpush';
  readonly serverOf = strangerOf;
  readonly capabilities: NotifierCapabilities;
  readonly vapidPublicKeys: readonly string[];
  readonly #parts: Parts;
  readonly #deliveries = new OriginDeliveries();
  readonly #messages: EndpointMessages;
  readonly #hasTopic: boolean;
  /** Why the push services refuse us; null when they do not. */
  #refusal: string | null = null;

  constructor(
    readonly service: ServiceName,
    entry: WebpushEntry,
    private readonly clock: Clock,
    private readonly tools: EndpointTools,
    parts: Parts,
  ) {
    this.#parts = parts;
    this.#messages = new EndpointMessages(tools.guard, entry.maxTtlSeconds ?? MAX_TTL_SECONDS);
    this.#hasTopic = entry.topic ?? true;
    this.vapidPublicKeys = parts.vapidKeys.publicTexts;
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: WEBPUSH_MAX_PAYLOAD_BYTES,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: tools.maxInFlight,
    };
  }

  validate(serviceInfo: unknown, purpose: ValidationPurpose): Result<Device, ClientError> {
    return readSubscription(serviceInfo, purpose, this.tools.guard, this.#parts.vapidKeys);
  }

  async send(push: Push, signal: AbortSignal): Promise<Outcome> {
    const message = this.#messageFor(push);
    if (!message.ok) return message.error;
    return this.tools.traffic.pass(push.device.serviceId, message.value.url.origin, () =>
      this.#request(push, message.value, signal),
    );
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
    const message = this.#messages.of(push, this.clock.nowMs());
    if (!message.ok) return message;
    const { keys, vapidKeyId } = message.value.subscriber;
    if (keys === null || vapidKeyId === null) return fail(SERVICE_DATA_CORRUPT);
    const vapidKey = this.#parts.vapidKeys.ofId(vapidKeyId);
    return vapidKey === null ? fail(VAPID_KEY_GONE) : ok({ ...message.value, keys, vapidKey });
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
    const retryAfterMs = parseRetryAfterMs(headers['retry-after'], nowMs, this.tools.retryAfterMaxMs);
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
  #headers(push: Push, message: Message): Readonly<Record<string, string>> {
    const { url, vapidKey, ttlSeconds, urgency } = message;
    return {
      authorization: this.#parts.tokens.authorization(vapidKey, url.origin),
      'content-encoding': 'aes128gcm',
      'content-type': 'application/octet-stream',
      ttl: String(ttlSeconds),
      urgency,
      ...(this.#hasTopic ? { topic: topicOf(push, message) } : {}),
      // Microsoft's refuses a TTL that its own header does not agree with.
      ...(pushServiceOf(url.hostname) === 'microsoft'
        ? { 'x-wns-cache-policy': ttlSeconds === 0 ? 'no-cache' : 'cache' }
        : {}),
    };
  }
}

import { encryptWebPush } from '../../crypto/web-push.js';
import { parseRetryAfterMs } from '../../delivery-rules/retry-after.js';
import { assertNever } from '../../domain/assert-never.js';
import type { Clock } from '../../domain/clock.js';
import { badValue, clientError, clientErrorCode, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { openEndpointTools, type EndpointTools } from '../endpoint-traffic.js';
import { verdictOfFailure, type Verdict } from '../endpoint-verdict.js';
import { HttpClient } from '../http-client.js';
import type { Notifier, NotifierCapabilities, NotifierHealth, ValidationPurpose } from '../port.js';
import { isKnownOrigin, strangerOf } from '../push-services.js';
import { deviceOf } from '../service-info.js';
import { WEBPUSH_MAX_PAYLOAD_BYTES } from '../webpush/body.js';
import { EndpointMessages, MAX_TTL_SECONDS, topicOf, type EndpointMessage } from '../webpush/message.js';
import { encodeSubscriberData, type SubscriberData } from '../webpush/subscriber-data.js';
import { loadVapidKeys, subjectProblem, VapidTokens, type VapidKeys } from '../webpush/vapid.js';
import { verdictOfAnswer } from './answers.js';
import { EndpointDiscovery, type Discovery } from './discovery.js';
import { readAllowedEndpoint, readEndpoint, readSubscriber } from './subscriber.js';
import type { UnifiedpushEntry } from './unifiedpush-entry.js';

export interface UnifiedpushDependencies {
  readonly clock: Clock;
}

/** An answer to a discovery is 31 bytes. */
const DISCOVERY_MAX_BYTES = 4_096;
const DISCOVERY_CONNECTIONS = 4;
const DISCOVERY_ORIGINS = 32;

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
  const tools = openEndpointTools(entry, clock);
  if (!tools.ok) return tools;
  return ok(new UnifiedpushNotifier(service, entry, clock, tools.value, vapid.value));
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
  readonly #client: HttpClient;
  /** Of its own, so that clients who name hanging servers hold up no pushes. */
  readonly #discoveryClient: HttpClient;
  readonly #discovery: EndpointDiscovery | null;
  readonly #messages: EndpointMessages;

  constructor(
    readonly service: ServiceName,
    entry: UnifiedpushEntry,
    private readonly clock: Clock,
    private readonly tools: EndpointTools,
    private readonly vapid: Vapid | null,
  ) {
    this.#messages = new EndpointMessages(tools.guard, MAX_TTL_SECONDS);
    this.#client = new HttpClient(tools.http);
    this.#discoveryClient = new HttpClient({
      ...tools.http,
      connectionsPerOrigin: DISCOVERY_CONNECTIONS,
      maxOrigins: DISCOVERY_ORIGINS,
      maxResponseBytes: DISCOVERY_MAX_BYTES,
    });
    this.#discovery = (entry.discovery ?? true) ? new EndpointDiscovery(this.#discoveryClient, clock) : null;
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: WEBPUSH_MAX_PAYLOAD_BYTES,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: tools.maxInFlight,
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
    const endpoint = readAllowedEndpoint(serviceInfo, this.tools.guard);
    if (!endpoint.ok) return endpoint;
    const subscriber = readSubscriber(serviceInfo, this.vapid?.keys ?? null);
    if (!subscriber.ok) return subscriber;
    const url = endpoint.value;
    const device = deviceOf(url.href, encodeSubscriberData(subscriber.value));
    if (!device.ok || this.#discovery === null || isKnownPushService(url, subscriber.value)) return device;
    const known = this.#discovery.known(url);
    if (known !== null) return admit(known, device.value);
    return this.#discovery.ask(url).then((found) => admit(found, device.value));
  }

  async send(push: Push, signal: AbortSignal): Promise<Outcome> {
    const message = this.#messages.of(push, this.clock.nowMs());
    if (!message.ok) return message.error;
    return this.tools.traffic.pass(push.device.serviceId, message.value.url.origin, () =>
      this.#request(push, message.value, signal),
    );
  }

  /** A server that does not answer says nothing about the others. */
  health(): NotifierHealth {
    return { state: this.#client.isConnected ? 'connected' : 'idle', detail: null };
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#discoveryClient.close()]);
  }

  async #request(push: Push, message: EndpointMessage, signal: AbortSignal): Promise<Verdict> {
    const { url, plaintext, subscriber } = message;
    const result = await this.#client.send({
      url,
      method: 'POST',
      headers: this.#headers(push, message),
      body: subscriber.keys === null ? plaintext : encryptWebPush(plaintext, subscriber.keys),
      signal,
    });
    if (result.kind === 'failure') return verdictOfFailure(result.reason);
    const retryAfter = result.headers['retry-after'];
    const nowMs = this.clock.nowMs();
    return verdictOfAnswer(result.status, parseRetryAfterMs(retryAfter, nowMs, this.tools.retryAfterMaxMs));
  }

  /** RFC 8030, 5; a server that knows nothing of them ignores what it does not know. */
  #headers(push: Push, message: EndpointMessage): Readonly<Record<string, string>> {
    const { url, subscriber, ttlSeconds, urgency } = message;
    const { keys, vapidKeyId } = subscriber;
    const authorization = this.#authorizationFor(url.origin, vapidKeyId);
    return {
      'content-type': 'application/octet-stream',
      ttl: String(ttlSeconds),
      urgency,
      ...(keys === null ? {} : { 'content-encoding': 'aes128gcm', topic: topicOf(push, message) }),
      ...(authorization === null ? {} : { authorization }),
    };
  }

  /** Signed with the key that the app registered with, as long as we have it, otherwise with the preferred one. */
  #authorizationFor(origin: string, vapidKeyId: Buffer | null): string | null {
    if (this.vapid === null) return null;
    const { keys, tokens } = this.vapid;
    const key = vapidKeyId === null ? null : keys.ofId(vapidKeyId);
    return tokens.authorization(key ?? keys.preferred, origin);
  }
}

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

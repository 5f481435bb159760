import { channelOfDevice } from '../../codec/wns-channel-uri.js';
import type { Clock } from '../../domain/clock.js';
import type { ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import type { ServiceName } from '../../domain/ids.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import type { Result } from '../../domain/result.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import { outcomeOfHttpFailure, type HttpClient, type HttpFailure, type HttpResult } from '../http-client.js';
import { OriginGates, type GateResult } from '../origin-gates.js';
import type { Notifier, NotifierCapabilities, NotifierHealth } from '../port.js';
import { Refusals } from '../refusals.js';
import { healthWithTokens, type TokenSource } from '../token-source.js';
import { parseWnsAnswer, wnsOutcome, type WnsSituation } from './answers.js';
import { WNS_MAX_PAYLOAD_BYTES } from './body.js';
import { WnsNotifications, type WnsNotification } from './notification.js';
import { Throttles } from './throttles.js';
import { validateWnsServiceInfo } from './token.js';

export interface ChannelSettings {
  /** Null: the channel's own host. */
  readonly origin: string | null;
  /** The XML of a toast; null sends raw notifications. */
  readonly toast: string | null;
  /** Raw: WNS keeps the last one for a device that is offline. */
  readonly cache: boolean;
  readonly maxInFlight: number;
  readonly retryAfterMaxMs: number | undefined;
}

/** A channel lives for 30 days. */
const WNS_MAX_TTL_SECONDS = 30 * 24 * 3600;
/** Channels that are remembered as throttled. */
const MAX_THROTTLED_CHANNELS = 10_000;
/** Hosts that are remembered as having answered; Microsoft has some dozens. */
const MAX_KNOWN_HOSTS = 1_000;
const APP = 'app';
const EXPIRED: Outcome = { kind: 'dropped', reason: 'expired' };
const NO_CHANNEL: Outcome = { kind: 'dropped', reason: 'malformed-channel' };

/**
 * Sends through the Windows Notification Service: one request to the channel URI of the device. Every host of
 * Microsoft's has its own gate, so one that is in trouble does not hold up the others.
 */
export class ChannelNotifier implements Notifier {
  readonly type = 'wns';
  readonly capabilities: NotifierCapabilities;
  readonly #refusals = new Refusals();
  readonly #throttledChannels = new Throttles(MAX_THROTTLED_CHANNELS);
  readonly #throttledApp = new Throttles(1);
  readonly #knownHosts = new Set<string>();
  readonly #gates: OriginGates;
  readonly #notifications: WnsNotifications;

  constructor(
    readonly service: ServiceName,
    private readonly settings: ChannelSettings,
    private readonly clock: Clock,
    private readonly source: TokenSource,
    private readonly client: HttpClient,
  ) {
    const { maxInFlight, toast } = settings;
    // Most users are on one or two hosts, and nobody but Microsoft can set one up that hangs: the window of the actor is
    // bound enough until one fails.
    this.#gates = new OriginGates({ firstInFlight: maxInFlight, maxInFlight });
    this.#notifications = new WnsNotifications(toast);
    this.capabilities = {
      content: 'sealed',
      batchSize: 1,
      maxPayloadBytes: WNS_MAX_PAYLOAD_BYTES,
      supportsExpiry: true,
      supportsPriority: toast === null,
      maxInFlight,
    };
  }

  validate(serviceInfo: unknown): Result<Device, ClientError> {
    return validateWnsServiceInfo(serviceInfo);
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
    const channelUri = channelOfDevice(push.device);
    if (channelUri === null) return NO_CHANNEL;
    const throttledMs = this.#throttledChannels.remainingMs(push.device.serviceId, this.clock.nowMs());
    if (throttledMs > 0) return { kind: 'postponed', reason: 'channel-throttled', afterMs: throttledMs };
    const { tokens } = this.source;
    const token = await tokens.forRequest(signal);
    if (!token.ok) return token.error;

    const nowMs = this.clock.nowMs();
    if (push.expiresAtMs <= nowMs) return EXPIRED;
    const notification = this.#notifications.of(push);
    if (!notification.ok) return notification.error;
    const channel = new URL(channelUri);
    const refusal = this.#gates.enter(channel.host, nowMs);
    if (refusal !== null) return { kind: 'postponed', reason: refusal.reason, afterMs: refusal.postponeMs };
    const { origin } = this.settings;
    const result = await this.client.send({
      url: origin === null ? channel : new URL(channel.pathname + channel.search, origin),
      method: 'POST',
      headers: this.#headers(notification.value, token.value, push.expiresAtMs - nowMs),
      body: notification.value.body,
      signal,
    });
    const afterMs = this.#retryAfterOf(result);
    this.#gates.leave(channel.host, this.clock.nowMs(), gateResult(result, afterMs));
    if (result.kind === 'failure') return this.#onFailure(result.reason, channel.host);
    if (result.status === 401 && mayRenew && tokens.discard(token.value)) {
      return this.#attempt(push, signal, false);
    }
    return this.#onAnswer(result, afterMs, push, channel.host);
  }

  #onAnswer(
    { status, headers }: Extract<HttpResult, { kind: 'answer' }>,
    afterMs: number | null,
    { device }: Push,
    host: string,
  ): Outcome {
    const nowMs = this.clock.nowMs();
    const situation: WnsSituation = {
      isOfChannel: () => this.#refusals.isOfDevice(device.serviceId),
      channelWaitMs: (wishMs) => this.#throttledChannels.told(device.serviceId, nowMs, wishMs),
      appWaitMs: (wishMs) => this.#throttledApp.told(APP, nowMs, wishMs),
    };
    if (this.#knownHosts.size < MAX_KNOWN_HOSTS) this.#knownHosts.add(host);
    const outcome = wnsOutcome(parseWnsAnswer(status, headers, afterMs), situation);
    if (outcome.kind === 'delivered') {
      this.#refusals.delivered(device.serviceId);
      this.#throttledChannels.passed(device.serviceId, nowMs);
      this.#throttledApp.passed(APP, nowMs);
    }
    return outcome;
  }

  /**
   * No answer speaks against WNS as a whole only from a host that has answered before: any label may stand before the
   * domain, and a client with made-up channels must not open the breaker for everybody.
   */
  #onFailure(reason: HttpFailure, host: string): Outcome {
    const outcome = outcomeOfHttpFailure(reason);
    const isOurs = reason === 'aborted' || reason === 'closed';
    return outcome.kind === 'retry' && !isOurs && !this.#knownHosts.has(host)
      ? { ...outcome, cause: 'server' }
      : outcome;
  }

  #retryAfterOf(result: HttpResult): number | null {
    if (result.kind === 'failure') return null;
    const maxMs = this.settings.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS;
    return parseRetryAfterMs(result.headers['retry-after'], this.clock.nowMs(), maxMs);
  }

  /** Spec uwpx-push, 6.2, with expiry, caching and priority added (9, item 11). */
  #headers(
    { kind, isUrgent }: WnsNotification,
    authorization: string,
    leftMs: number,
  ): Readonly<Record<string, string>> {
    // A TTL of 0 contradicts the cache policy, and WNS refuses what contradicts itself.
    const ttl = String(Math.min(WNS_MAX_TTL_SECONDS, Math.max(1, Math.floor(leftMs / 1000))));
    const common = { authorization, 'x-wns-requestforstatus': 'true' };
    if (kind === 'toast') {
      // Toasts have high priority by themselves, and the cache policy is not for them.
      return { ...common, 'x-wns-type': 'wns/toast', 'content-type': 'text/xml', 'x-wns-ttl': ttl };
    }
    return {
      ...common,
      'x-wns-type': 'wns/raw',
      'content-type': 'application/octet-stream',
      // 1 wakes a device that sleeps on battery; raw notifications have 3 otherwise, which waits for the charger.
      'x-wns-priority': isUrgent ? '1' : '2',
      ...(this.settings.cache ? { 'x-wns-cache-policy': 'cache', 'x-wns-ttl': ttl } : {}),
    };
  }
}

function gateResult(result: HttpResult, afterMs: number | null): GateResult {
  if (result.kind === 'answer') return result.status >= 500 ? { kind: 'failed', afterMs } : { kind: 'ok' };
  return result.reason === 'aborted' || result.reason === 'closed' ? { kind: 'unknown' } : { kind: 'failed' };
}

import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import {
  badValue,
  clientError,
  clientErrorCode,
  PROCESSING_ERROR_MESSAGE,
  type ClientError,
} from '../domain/errors.js';
import type { Device } from '../domain/device.js';
import type { ServiceName } from '../domain/ids.js';
import type { Outcome } from '../domain/outcome.js';
import type { Push, PushContent } from '../domain/push.js';
import { fail, type Result } from '../domain/result.js';
import { sortedJson } from '../codec/sorted-json.js';
import type { Notifier, NotifierCapabilities, NotifierHealth } from '../notifiers/port.js';
import { LEGACY_CONTENT, WAKE_CONTENT } from '../notifiers/sealed-content.js';
import type { OxenmqPeer, SendResult } from '../oxenmq/port.js';
import type { HiveOptions } from './options.js';
import { SendRoom } from './send-room.js';
import { parseValidationReply } from './validation-reply.js';

export type ExternalNotifierOptions = Pick<
  HiveOptions,
  'notifierTimeoutMs' | 'notifierAwayMs' | 'maxInFlight' | 'roomTimeoutMs' | 'awayRetryMs'
>;

/** A message of 76,800 bytes, service data of 99,999, a service id of 999, and what is around them. */
const MAX_DICT_BYTES = 180_000;
const SEALED: Outcome = { kind: 'dropped', reason: 'sealed' };

/**
 * A notifier in a process of its own, as the original's are: it connects to one of our doors, registers its name every
 * few seconds, checks devices when asked and seals and sends what it is handed (spec session-push-v2, 8).
 *
 *   away ──registered──► present ──not registered for notifierAwayMs──► away
 *
 * While it is away every push comes back as `retry` for the whole notifier, so that they wait in the outbox; when its
 * process has died but the time is not over, ZeroMQ refuses the send, with the same result.
 *
 * The protocol has no acknowledgement of a push: `delivered` means that it is in the queue of a connection that is up.
 * What is lost when that process is killed, or its machine stops answering, is what it had not read yet: at most the
 * queue of one connection (1,000 messages) and what the operating system buffers, and normally nothing.
 */
export class ExternalNotifier implements Notifier {
  readonly type = 'external';
  readonly capabilities: NotifierCapabilities;
  #peer: OxenmqPeer | null = null;
  #registeredAtMs = -Infinity;
  #lastSend: SendResult = 'sent';
  readonly #room: SendRoom;

  constructor(
    readonly service: ServiceName,
    private readonly options: ExternalNotifierOptions,
    private readonly clock: Clock,
  ) {
    this.capabilities = {
      content: 'unsealed',
      maxPayloadBytes: MAX_DICT_BYTES,
      batchSize: 1,
      supportsExpiry: true,
      supportsPriority: false,
      maxInFlight: options.maxInFlight,
    };
    this.#room = new SendRoom((payload) => this.#hand(payload), options.roomTimeoutMs);
  }

  /** The last registration wins. True when it comes from another peer than the one before, or after an absence. */
  register(peer: OxenmqPeer): boolean {
    const isNew = !this.isPresent() || this.#peer?.key !== peer.key;
    this.#peer = peer;
    this.#registeredAtMs = this.clock.nowMs();
    this.#lastSend = 'sent';
    return isNew;
  }

  isPresent(): boolean {
    return this.clock.nowMs() - this.#registeredAtMs <= this.options.notifierAwayMs;
  }

  async validate(serviceInfo: unknown): Promise<Result<Device, ClientError>> {
    const json = sortedJson(serviceInfo);
    if (json === null) return fail(badValue(PROCESSING_ERROR_MESSAGE));
    if (this.#peer === null || !this.isPresent()) return this.#timedOut();
    const parts = [Buffer.from(this.service), Buffer.from(json)];
    const answer = await this.#peer.request('notifier.validate', parts, this.options.notifierTimeoutMs);
    return answer.ok ? parseValidationReply(answer.value) : this.#timedOut();
  }

  async send(push: Push, signal: AbortSignal): Promise<Outcome> {
    if (push.content.kind !== 'unsealed') return outcomeOfOwn(push.content.kind);
    if (!this.isPresent()) return this.#retry('away');
    const result = await this.#room.send(push.content.payload, signal);
    switch (result) {
      case 'sent':
        return { kind: 'delivered' };
      case 'unreachable':
      case 'full':
        return this.#retry(result);
      case 'aborted':
        return { kind: 'retry', reason: 'aborted', cause: 'transport', afterMs: null, scope: 'push' };
      default:
        return assertNever(result);
    }
  }

  health(): NotifierHealth {
    if (this.#peer === null) return { state: 'idle', detail: 'not registered since the start' };
    if (!this.isPresent()) return { state: 'failing', detail: 'away' };
    return this.#lastSend === 'sent'
      ? { state: 'connected', detail: null }
      : { state: 'failing', detail: this.#lastSend };
  }

  async close(): Promise<void> {
    this.#peer = null;
    this.#registeredAtMs = -Infinity;
    this.#room.close();
  }

  async #hand(payload: Buffer): Promise<SendResult> {
    const result = (await this.#peer?.send('notifier.push', [payload])) ?? 'unreachable';
    this.#lastSend = result;
    return result;
  }

  /** One wait for everything of this notifier: it comes back with its next registration, if it does. */
  #retry(reason: string): Outcome {
    return {
      kind: 'retry',
      reason,
      cause: 'transport',
      afterMs: this.options.awayRetryMs,
      scope: 'notifier',
    };
  }

  #timedOut(): Result<Device, ClientError> {
    return fail(
      clientError(clientErrorCode.serviceTimeout, `${this.service} notification service timed out`),
    );
  }
}

/** What only notifiers of ours can send; the protocol with external ones has no word for it. */
function outcomeOfOwn(kind: Exclude<PushContent['kind'], 'unsealed'>): Outcome {
  switch (kind) {
    case 'sealed':
      return SEALED; // stored when this service was a notifier of ours
    case 'legacy':
      return LEGACY_CONTENT;
    case 'wake':
      return WAKE_CONTENT;
    default:
      return assertNever(kind);
  }
}

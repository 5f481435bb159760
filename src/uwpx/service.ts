import { assertNever } from '../domain/assert-never.js';
import type { Result } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { accountsAnswer, errorAnswer, successAnswer, type UwpxErrorName } from './answers.js';
import type { UwpxLimits } from './limits.js';
import type { UwpxSender } from './port.js';
import { Registrations, type RegistrationParts, type RegistrationRefusal } from './registrations.js';
import { parseRequest, type RefusedRequest, type UwpxRequest } from './request.js';
import { TokenBuckets } from '../delivery-rules/token-buckets.js';

export interface UwpxServiceParts extends RegistrationParts {
  readonly metrics: Metrics;
  readonly log: Log;
}

export interface UwpxServiceOptions {
  /** `push_bare_jid` of the answers: the address of our component (spec uwpx-push, 6.1). */
  readonly pushAddress: string;
  readonly limits: UwpxLimits;
}

export interface UwpxReply {
  /** NUL included. */
  readonly bytes: Buffer;
  /** A message that no honest client sends, or not so often: a connection with many of them is closed. */
  readonly isFault: boolean;
}

/** What came of a message; a label of metrics. */
type UwpxResult =
  'ok' | 'malformed' | 'invalid' | 'unsupported' | 'busy' | 'timeout' | 'failed' | RegistrationRefusal;

/** How refusals are told: the protocol has no text for limits, and every client takes an error as "later". */
const refusalAnswers: Readonly<Record<RegistrationRefusal, UwpxErrorName>> = {
  'bad-channel': 'badChannel',
  'unknown-device': 'unknownDevice',
  'test-push-failed': 'testPushFailed',
  'test-push-limited': 'testPushFailed',
  limited: 'failed',
  full: 'failed',
};

const TIMEOUT = Symbol('timeout');
const MINUTES_PER_HOUR = 60;

/**
 * From the bytes of a message to the bytes of its answer. Every message has exactly one, within `answerTimeoutMs`,
 * whatever the store and WNS do. Source: spec uwpx-push, sections 2 and 3.
 */
export class UwpxService {
  readonly #registrations: Registrations;
  readonly #messages: TokenBuckets;
  readonly #sampled: SampledLog;
  #inProgress = 0;

  constructor(
    private readonly parts: UwpxServiceParts,
    private readonly options: UwpxServiceOptions,
  ) {
    const { limits } = options;
    this.#registrations = new Registrations(parts, limits);
    this.#messages = new TokenBuckets({
      burst: limits.messagesBurst,
      perHour: limits.messagesPerMinute * MINUTES_PER_HOUR,
      maxKeys: limits.rememberedSenders,
    });
    this.#sampled = new SampledLog(parts.clock);
  }

  /** Messages that wait for the store or for WNS. */
  get inProgress(): number {
    return this.#inProgress;
  }

  /** `message` is without its NUL, and read before this returns. Never rejects. */
  async answer(message: Uint8Array, sender: UwpxSender): Promise<UwpxReply> {
    let kind: RefusedRequest['kind'] = 'unknown';
    try {
      if (!sender.isExempt && !this.#messages.take(sender.key, this.parts.clock.nowMs())) {
        return this.#refuse(kind, 'limited', 'failed', true);
      }
      const request = parseRequest(message, this.options.limits);
      if (!request.ok)
        return this.#refuse(request.error.kind, request.error.fault, request.error.fault, true);
      kind = request.value.kind;
      return await this.#answerRequest(request.value, sender);
    } catch (error) {
      this.#sampled.note(`failed ${kind}`, (occurrences) =>
        this.parts.log.warn(
          { request: kind, failure: error instanceof Error ? error.name : typeof error, occurrences },
          'UWPX: a message could not be processed',
        ),
      );
      return this.#refuse(kind, 'failed');
    }
  }

  async #answerRequest(request: UwpxRequest, sender: UwpxSender): Promise<UwpxReply> {
    const { kind } = request;
    if (kind === 'response') return this.#refuse(kind, 'unsupported', 'unsupported', true);
    if (this.#inProgress >= this.options.limits.messagesInProgress) return this.#refuse(kind, 'busy');
    this.#inProgress += 1;
    const work = this.#perform(request, sender).finally(() => {
      this.#inProgress -= 1;
    });
    const result = await this.#inTime(work);
    if (result === TIMEOUT) return this.#refuse(kind, 'timeout');
    if (!result.ok) return this.#refuse(kind, result.error, refusalAnswers[result.error]);
    this.#count(kind, 'ok');
    return { bytes: result.value, isFault: false };
  }

  async #perform(
    request: Exclude<UwpxRequest, { kind: 'response' }>,
    sender: UwpxSender,
  ): Promise<Result<Buffer, RegistrationRefusal>> {
    switch (request.kind) {
      case 'set-channel':
        return asAnswer(await this.#registrations.setChannel(request, sender), () => successAnswer);
      case 'set-accounts':
        return asAnswer(await this.#registrations.setAccounts(request), (accounts) =>
          accountsAnswer(this.options.pushAddress, accounts),
        );
      case 'test-push':
        return asAnswer(await this.#registrations.sendTestPush(request), () => successAnswer);
      default:
        return assertNever(request);
    }
  }

  async #inTime<Value>(work: Promise<Value>): Promise<Value | typeof TIMEOUT> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<typeof TIMEOUT>((resolve) => {
      timer = setTimeout(() => resolve(TIMEOUT), this.options.limits.answerTimeoutMs);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #refuse(
    kind: RefusedRequest['kind'],
    result: UwpxResult,
    answer: UwpxErrorName = 'failed',
    isFault = false,
  ): UwpxReply {
    this.#count(kind, result);
    return { bytes: errorAnswer(answer), isFault };
  }

  #count(kind: RefusedRequest['kind'], result: UwpxResult): void {
    this.parts.metrics.uwpxMessages.of(kind, result).add();
  }
}

const asAnswer = <Value>(
  result: Result<Value, RegistrationRefusal>,
  encode: (value: Value) => Buffer,
): Result<Buffer, RegistrationRefusal> => (result.ok ? { ok: true, value: encode(result.value) } : result);

import { isUtf8 } from 'node:buffer';
import type { Clock } from '../domain/clock.js';
import {
  badInput,
  clientError,
  clientErrorCode,
  INTERNAL_ERROR_MESSAGE,
  type ClientError,
} from '../domain/errors.js';
import type { Subscription, SubscriptionKey } from '../domain/subscription.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import {
  SubscriptionBrands,
  type SubscriptionBrand,
  type SubscriptionBrandSettings,
} from './subscription-brands.js';
import {
  checkSubscribe,
  checkUnsubscribe,
  type CheckContext,
  type NotifierLookup,
} from './subscription-check.js';
import { TurnGate } from './turn-gate.js';

export type SubscriptionRequestKind = 'subscribe' | 'unsubscribe';

/** Exactly these keys, in alphabetical order: older Android clients refuse any other (section 7). */
export type SubscriptionAnswer =
  | { readonly added: true; readonly message: string; readonly success: true }
  | { readonly message: string; readonly success: true; readonly updated: true }
  | { readonly message: string; readonly removed: boolean; readonly success: true }
  | { readonly error: number; readonly message?: string };

export interface SubscriptionLimits {
  /** Elements of one array; a hundred come from one client at most, and 100,000 bytes hold some 250 that make sense. */
  readonly elementsMax: number;
  /** Elements of one array that are in progress at once; the others wait. */
  readonly elementsInProgress: number;
  /** Elements checked in one turn of the event loop, over all requests; one takes about 0.15 ms. */
  readonly checksPerTurn: number;
  /** Namespaces in one subscription; clients use at most five. */
  readonly namespacesMax: number;
  /** From the request to its answer; what is not stored by then is answered with error 3. Milliseconds. */
  readonly answerTimeoutMs: number;
}

export const defaultSubscriptionLimits: SubscriptionLimits = {
  elementsMax: 1000,
  elementsInProgress: 128,
  checksPerTurn: 16,
  namespacesMax: 256,
  answerTimeoutMs: 15_000,
};

export interface SubscriptionServiceDeps {
  readonly clock: Clock;
  readonly notifier: NotifierLookup;
  /** Everyone who subscribes here, each with a name and routes of its own. Empty: Session v2's rules, no translation. */
  readonly brands: readonly SubscriptionBrandSettings[];
  /** Why a well-formed, signed subscription is not taken all the same; null when it is. */
  readonly refusal: (subscription: Subscription) => ClientError | null;
  /** Resolves when it is committed: 'stale' means that a newer signature was there and was kept. */
  readonly subscribe: (subscription: Subscription) => Promise<'added' | 'updated' | 'stale'>;
  /** Resolves when it is committed: whether there was such a subscription. */
  readonly unsubscribe: (key: SubscriptionKey) => Promise<boolean>;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly limits: SubscriptionLimits;
}

export interface SubscriptionService {
  /**
   * An object for an object, an array of the same length and order for an array. `brand`: the name of the one whose
   * route it came by; without it (plain HTTP, OxenMQ) each account's first byte tells. Rejects only for a name that is
   * not among `brands`, which is a bug of the caller.
   * Source: spec session-push-v2, 3.3, 4 and 5; spec bchat-push, section 4.
   */
  handle(
    kind: SubscriptionRequestKind,
    body: Buffer,
    brand?: string,
  ): Promise<SubscriptionAnswer | readonly SubscriptionAnswer[]>;
}

const TIMEOUT_MESSAGE = 'Timeout waiting for push notification backend';

export function createSubscriptionService(deps: SubscriptionServiceDeps): SubscriptionService {
  const { metrics, log, limits } = deps;
  const brands = new SubscriptionBrands(deps.brands);
  const context: CheckContext = {
    clock: deps.clock,
    notifier: deps.notifier,
    brands,
    namespacesMax: limits.namespacesMax,
  };
  const gate = new TurnGate(limits.checksPerTurn);
  const sampled = new SampledLog(deps.clock);

  async function runElement(
    kind: SubscriptionRequestKind,
    brand: SubscriptionBrand | null,
    element: unknown,
  ): Promise<SubscriptionAnswer> {
    const wait = gate.enter();
    if (wait !== null) await wait;
    try {
      return kind === 'subscribe' ? await subscribe(brand, element) : await unsubscribe(brand, element);
    } catch (error) {
      metrics.requests.of('error-5').add();
      sampled.note(kind, (occurrences) =>
        log.error({ request: kind, reason: errorName(error), occurrences }, 'a subscription change failed'),
      );
      return answers.internalError;
    }
  }

  async function subscribe(brand: SubscriptionBrand | null, element: unknown): Promise<SubscriptionAnswer> {
    const checked = await checkSubscribe(context, brand, element);
    if (!checked.ok) return refuse(checked.error);
    const refusal = deps.refusal(checked.value);
    if (refusal !== null) return refuse(refusal);
    const outcome = await deps.subscribe(checked.value);
    metrics.requests.of('ok').add();
    metrics.subscriptionChanges.of(outcome).add();
    return outcome === 'added' ? answers.added : answers.updated;
  }

  async function unsubscribe(brand: SubscriptionBrand | null, element: unknown): Promise<SubscriptionAnswer> {
    const checked = await checkUnsubscribe(context, brand, element);
    if (!checked.ok) return refuse(checked.error);
    const existed = await deps.unsubscribe(checked.value);
    metrics.requests.of('ok').add();
    if (existed) metrics.subscriptionChanges.of('removed').add();
    return existed ? answers.removed : answers.notRemoved;
  }

  function refuse(error: ClientError): SubscriptionAnswer {
    // Notifiers name codes of their own: a label may only take values from a fixed set.
    const known = error.code >= 1 && error.code <= 5 ? String(error.code) : 'other';
    metrics.requests.of(`error-${known}`).add();
    metrics.subscriptionChanges.of('refused').add();
    return errorAnswer(error);
  }

  async function runAll(
    kind: SubscriptionRequestKind,
    brand: SubscriptionBrand | null,
    elements: readonly unknown[],
    deadline: Deadline,
  ): Promise<SubscriptionAnswer[]> {
    const results = new Array<SubscriptionAnswer>(elements.length);
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < elements.length) {
        const index = next;
        next += 1;
        results[index] = deadline.isOver
          ? deadline.giveUp()
          : await deadline.race(runElement(kind, brand, elements[index]));
      }
    };
    const workers = Math.min(limits.elementsInProgress, elements.length);
    await Promise.all(Array.from({ length: workers }, worker));
    return results;
  }

  return {
    async handle(kind, body, brandName) {
      const brand = brandName === undefined ? null : brands.named(brandName);
      const request = parseBody(body);
      if (!Array.isArray(request) && (typeof request !== 'object' || request === null)) {
        metrics.requests.of('error-1').add();
        return request === undefined ? answers.invalidJson : answers.neitherObjectNorArray;
      }
      if (Array.isArray(request) && request.length > limits.elementsMax) {
        metrics.requests.of('error-1').add();
        return answers.tooManyElements;
      }
      const deadline = new Deadline(limits.answerTimeoutMs, () => {
        metrics.requests.of('error-3').add();
        return answers.timeout;
      });
      try {
        return Array.isArray(request)
          ? await runAll(kind, brand, request, deadline)
          : await deadline.race(runElement(kind, brand, request));
      } finally {
        deadline.clear();
      }
    },
  };
}

/** Undefined, which JSON cannot say, for what is no JSON or no UTF-8. */
function parseBody(body: Buffer): unknown {
  if (!isUtf8(body)) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** One timer for all elements of a request. What was begun goes on; only the answer does not wait for it. */
class Deadline {
  isOver = false;
  readonly #timer: NodeJS.Timeout;
  readonly #passed: Promise<null>;

  constructor(
    timeoutMs: number,
    readonly giveUp: () => SubscriptionAnswer,
  ) {
    let pass: (value: null) => void = () => undefined;
    this.#passed = new Promise((resolve) => (pass = resolve));
    this.#timer = setTimeout(() => {
      this.isOver = true;
      pass(null);
    }, timeoutMs);
  }

  async race(answer: Promise<SubscriptionAnswer>): Promise<SubscriptionAnswer> {
    return (await Promise.race([answer, this.#passed])) ?? this.giveUp();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

const errorAnswer = (error: ClientError): SubscriptionAnswer =>
  error.message === '' ? { error: error.code } : { error: error.code, message: error.message };

const answers = {
  added: { added: true, message: 'Subscription successful', success: true },
  updated: { message: 'Resubscription successful', success: true, updated: true },
  removed: { message: 'Device unsubscribed from push notifications', removed: true, success: true },
  notRemoved: {
    message: 'Device was not subscribed to push notifications',
    removed: false,
    success: true,
  },
  internalError: errorAnswer(clientError(clientErrorCode.internalError, INTERNAL_ERROR_MESSAGE)),
  timeout: errorAnswer(clientError(clientErrorCode.serviceTimeout, TIMEOUT_MESSAGE)),
  invalidJson: errorAnswer(badInput('Invalid JSON')),
  tooManyElements: errorAnswer(badInput('Invalid request: too many elements')),
  neitherObjectNorArray: errorAnswer(badInput('Invalid JSON: expected object or array of objects')),
} as const satisfies Record<string, SubscriptionAnswer>;

/** What kind of failure it was: never its message, in which a database quotes the values of a row. */
function errorName(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown';
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (typeof code === 'string') return code;
  return typeof name === 'string' ? name : 'unknown';
}

/** Whether repeating the same request later may succeed (errors 3 and 5). */
export function hasTransientFailure(answer: SubscriptionAnswer | readonly SubscriptionAnswer[]): boolean {
  return Array.isArray(answer)
    ? answer.some((element: SubscriptionAnswer) => isTransient(element))
    : isTransient(answer as SubscriptionAnswer);
}

const isTransient = (answer: SubscriptionAnswer): boolean =>
  'error' in answer &&
  (answer.error === clientErrorCode.serviceTimeout || answer.error === clientErrorCode.internalError);

import { Subject } from 'rxjs';
import { encodeLegacyContent } from '../codec/legacy-content.js';
import type { Clock } from '../domain/clock.js';
import type { ServiceId } from '../domain/ids.js';
import type { LegacyNotice } from '../domain/notice.js';
import type { LegacyContent, Push } from '../domain/push.js';
import type { Brand } from '../legacy/brand.js';
import type { LegacyDevice, LegacyDeviceType, LegacyMatch } from '../legacy/device.js';
import { LargeNotices } from '../legacy/large-notices.js';
import type { LegacyCounting, LegacyPushType } from '../legacy/statistics.js';
import type { Metrics } from '../telemetry/metrics.js';
import { createServicesOf } from './legacy-services.js';
import { PartlyTaken } from './partly-taken.js';
import { stage } from './stage.js';

/*
 * The way of an older client's notice, one synchronous step after the other:
 *
 *   measure  counted; what is too long ends here, as in the original: nobody is told
 *   match    the devices behind its id, from the brand's directory; what nobody registered for ends here, and what
 *            reaches thousands while others did just now: it may come again
 *   compose  the content once, and one push around it for each device
 *   route    offered to the notifier; no credit → outbox
 *
 * The answer. The client asks again, up to 20 times, when it hears `busy`, and it asks with the whole notice. So `busy`
 * is said as soon as one push could not be taken, for it must not be lost; but which ones were taken is remembered, and
 * the repetition goes to the others only. A `taken` there would lose pushes in an outage, and a `busy` without that
 * memory would wake a whole group 20 times because one notifier of two has trouble. Three equal notices that were taken
 * are three pushes to each device, as in the original: nothing is remembered of them.
 *
 * Source: spec session-push-v1, section 4.
 */

/** `taken`: every push is in somebody's hands, or there is nobody to push to. `busy`: the same notice once more, please. */
export type LegacyAnswer = 'taken' | 'busy';

/** One brand, as far as notices need it. */
export interface LegacyBrand {
  readonly brand: Pick<Brand, 'alertTitle' | 'alertBody' | 'services'>;
  readonly directory: { match(id: string): LegacyMatch };
  readonly statistics: LegacyCounting;
}

/** Where pushes go, according to how safe an answer must be. */
export type LegacyExit =
  | {
      readonly kind: 'at-once';
      /** True when the notifier has taken the push. */
      readonly offer: (push: Push) => boolean;
      /** True when the outbox has taken responsibility; `onLost` if it cannot keep it after all. */
      readonly spill: (push: Push, onLost: () => void) => boolean;
    }
  | {
      /** The answer waits for the outbox's commit, or the provider's word. */
      readonly kind: 'when-safe';
      /** `onSafe` is called exactly once, perhaps before this returns; what is not safe was counted there. */
      readonly deliver: (push: Push, onSafe: (isSafe: boolean) => void) => void;
    };

export interface LegacyPipelineDeps {
  /** Undefined only by a fault of ours: the doors know the brands. */
  readonly brandOf: (name: string) => LegacyBrand | undefined;
  readonly exit: LegacyExit;
  /** How long a push is of use; nothing of it reaches the provider. Milliseconds. */
  readonly pushLifetimeMs: number;
  /** Random bytes that nobody can foresee. */
  readonly randomBytes: (count: number) => Buffer;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** A fault of our own in a stage: counted, and logged without the item. */
  readonly onFault: (stageName: string, error: unknown) => void;
}

export interface LegacyPipeline {
  /** Never throws, never rejects. A promise only where the answer waits for safety; its caller bounds the wait. */
  next(notice: LegacyNotice): LegacyAnswer | Promise<LegacyAnswer>;
  /** What comes afterwards is answered with `busy`. */
  complete(): void;
}

/** Of a push, random: the same for all its attempts, another one for an equal notice. */
const DEDUPE_KEY_BYTES = 16;
/** One that waits keeps its neighbours: not those of all devices of a large group. */
const KEYS_AT_ONCE = 64;
const NO_KEYS = Buffer.alloc(0);
const PARTLY_TAKEN = { maxTokens: 100_000, lifetimeMs: 10 * 60_000 };

/** True for what is counted and not sent. Whoever read the request measured it, in characters as the original does. */
export const isTooLong = ({ data }: LegacyNotice): boolean => data === null;

/** A notice on its way, and what its client will hear; a fault on the way leaves it at `busy`. */
interface Passage {
  readonly notice: LegacyNotice;
  answer: LegacyAnswer | Promise<LegacyAnswer>;
}

interface Measured {
  readonly passage: Passage;
  readonly to: LegacyBrand;
}

interface Matched extends Measured {
  readonly devices: readonly LegacyDevice[];
  /** Tokens that an earlier try of the same notice reached. */
  readonly reached: ReadonlySet<string> | null;
}

interface Composed extends Measured {
  readonly pushes: readonly TypedPush[];
  readonly reached: ReadonlySet<string> | null;
}

interface TypedPush {
  readonly push: Push;
  readonly type: LegacyPushType;
}

export function createLegacyPipeline(deps: LegacyPipelineDeps): LegacyPipeline {
  const { exit, clock, metrics, onFault } = deps;
  const partlyTaken = new PartlyTaken(PARTLY_TAKEN, clock);
  const servicesOf = createServicesOf();
  const large = new Map<string, LargeNotices>();
  const largeOf = (brand: string): LargeNotices => {
    const known = large.get(brand) ?? new LargeNotices(clock);
    large.set(brand, known);
    return known;
  };

  const measure = (passage: Passage): Measured | null => {
    const to = deps.brandOf(passage.notice.brand);
    if (to === undefined) throw new Error('a notice of a brand that is not served');
    if (isTooLong(passage.notice)) {
      to.statistics.message('too-long');
      passage.answer = 'taken';
      return null;
    }
    return { passage, to };
  };

  const match = ({ passage, to }: Measured): Matched | null => {
    const { notice } = passage;
    const found = to.directory.match(notice.recipient);
    if (found.kind !== 'untracked' && !largeOf(notice.brand).admit(found.devices.length)) {
      metrics.legacyLimited.of(notice.brand, 'refused').add();
      return null;
    }
    to.statistics.message(found.kind);
    if (found.kind === 'untracked') {
      passage.answer = 'taken';
      return null;
    }
    return { passage, to, devices: found.devices, reached: partlyTaken.take(notice) };
  };

  const compose = ({ passage, to, devices, reached }: Matched): Composed | null => {
    const { notice } = passage;
    const { brand } = to;
    const services = servicesOf(brand);
    const expiresAtMs = clock.nowMs() + deps.pushLifetimeMs;
    let keys: Buffer = NO_KEYS;
    const pushes: TypedPush[] = [];
    let content: LegacyContent | null = null;
    let account: Buffer | null = null;
    let accountText = '';
    for (const device of devices) {
      const { type, token } = device;
      if (!isPushedTo(type) || reached?.has(token) === true) continue;
      content ??= { kind: 'legacy', payload: encodeLegacyContent({ ...brand, data: notice.data }) };
      if (account === null || accountText !== device.account) {
        accountText = device.account;
        account = Buffer.from(accountText);
      }
      const keyAt = (pushes.length % KEYS_AT_ONCE) * DEDUPE_KEY_BYTES;
      if (keyAt === 0) {
        const count = Math.min(KEYS_AT_ONCE, devices.length - pushes.length);
        keys = deps.randomBytes(count * DEDUPE_KEY_BYTES);
      }
      const push: Push = {
        service: services[type],
        account,
        // The directory checked it; these may be shorter than the tokens of subscriptions.
        device: { serviceId: token as ServiceId, serviceData: null },
        content,
        priority: 'high',
        expiresAtMs,
        dedupeKey: keys.subarray(keyAt, keyAt + DEDUPE_KEY_BYTES),
        receivedAtMs: notice.receivedAtMs,
        attempts: 0,
        outboxId: null,
      };
      pushes.push({ push, type });
    }
    if (pushes.length === 0) {
      passage.answer = 'taken';
      return null;
    }
    return { passage, to, pushes, reached };
  };

  const route = (composed: Composed): null => {
    composed.passage.answer =
      exit.kind === 'at-once' ? routeAtOnce(composed, exit) : routeSafely(composed, exit);
    return null;
  };

  const routeAtOnce = (
    composed: Composed,
    { offer, spill }: Extract<LegacyExit, { kind: 'at-once' }>,
  ): LegacyAnswer => {
    const handOver = (push: Push): boolean => {
      if (offer(push)) return true;
      const lost = metrics.pushesLost.of(push.service);
      if (!spill(push, () => lost.add())) {
        lost.add();
        return false;
      }
      metrics.pushesSpilled.of(push.service).add();
      return true;
    };
    let left: Set<Push> | null = null;
    for (const { push, type } of composed.pushes) {
      let isTaken = false;
      try {
        isTaken = handOver(push);
      } catch (error) {
        // Of one device; the others' pushes have nothing to do with it.
        onFault('legacy-route', error);
      }
      if (isTaken) composed.to.statistics.push(type);
      else (left ??= new Set()).add(push);
    }
    return left === null ? 'taken' : answerWithout(composed, left);
  };

  const routeSafely = (
    composed: Composed,
    { deliver }: Extract<LegacyExit, { kind: 'when-safe' }>,
  ): Promise<LegacyAnswer> =>
    new Promise((resolve) => {
      const left = new Set<Push>();
      let openCount = composed.pushes.length;
      const heard = ({ push, type }: TypedPush, isSafe: boolean): void => {
        if (isSafe) composed.to.statistics.push(type);
        else left.add(push);
        openCount -= 1;
        if (openCount === 0) resolve(left.size === 0 ? 'taken' : answerWithout(composed, left));
      };
      for (const item of composed.pushes) {
        let isOpen = true;
        const onSafe = (isSafe: boolean): void => {
          if (!isOpen) return;
          isOpen = false;
          heard(item, isSafe);
        };
        try {
          deliver(item.push, onSafe);
        } catch (error) {
          onFault('legacy-route', error);
          onSafe(false);
        }
      }
    });

  /** Remembers whom the notice reached, now or by an earlier try. */
  const answerWithout = ({ passage, pushes, reached }: Composed, left: ReadonlySet<Push>): 'busy' => {
    const tokens = new Set<string>(reached);
    for (const { push } of pushes) if (!left.has(push)) tokens.add(push.device.serviceId);
    if (tokens.size > 0) partlyTaken.remember(passage.notice, tokens);
    return 'busy';
  };

  const passages = new Subject<Passage>();
  const subscription = passages
    .pipe(
      stage('legacy-measure', measure, onFault),
      stage('legacy-match', match, onFault),
      stage('legacy-compose', compose, onFault),
      stage('legacy-route', route, onFault),
    )
    .subscribe();

  return {
    next(notice) {
      const passage: Passage = { notice, answer: 'busy' };
      passages.next(passage);
      return passage.answer;
    },
    complete() {
      passages.complete();
      subscription.unsubscribe();
    },
  };
}

const isPushedTo = (type: LegacyDeviceType): type is LegacyPushType => type !== 'unknown';

import { assertNever } from '../domain/assert-never.js';
import type { LegacyNotice } from '../domain/notice.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { readNotification, type LegacyArguments } from './arguments.js';
import type { Brand } from './brand.js';
import type { LegacyLimits } from './limits.js';
import type { LegacyMethods } from './methods-port.js';
import { pythonText } from './python-text.js';
import { createRegistrations, type RegistrationsDeps } from './registrations.js';
import { away, busy, done, failed, late, refused, type LegacyAnswer } from './replies.js';
import { ChangeNotTaken, faultOf } from './store-failure.js';

/** `busy`: some of it could be taken neither by a notifier nor by the outbox; the client is to come again. */
export type NoticeVerdict = 'taken' | 'busy';

export interface LegacyMethodsDeps extends RegistrationsDeps {
  readonly brand: Pick<Brand, 'name' | 'appName'>;
  /** Wakes everybody behind the id. `data` is null when it was too long to be sent: then it is only counted. */
  readonly notify: (notice: LegacyNotice) => NoticeVerdict | Promise<NoticeVerdict>;
  readonly metrics: Pick<Metrics, 'legacyRequests'>;
  readonly log: Log;
  readonly limits: RegistrationsDeps['limits'] & Pick<LegacyLimits, 'answerTimeoutMs'>;
}

type Method = (args: LegacyArguments) => LegacyAnswer | Promise<LegacyAnswer>;

/** In the metrics, for whatever name a client made up. */
const UNKNOWN_METHOD = 'unknown';

/**
 * The methods of one brand. Whatever goes wrong is an answer: what the client did wrong is status 400, what is our
 * trouble is 503, both with code 0, on which older clients come back. Source: spec session-push-v1, section 3.
 */
export function createLegacyMethods(deps: LegacyMethodsDeps): LegacyMethods {
  const { brand, clock, metrics, log, limits } = deps;
  const sampled = new SampledLog(clock);
  const registrations = createRegistrations(deps);

  const notify: Method = (args) => {
    const notification = readNotification(args);
    if (!notification.ok) return notification.error;
    const verdict = deps.notify({
      kind: 'legacy',
      brand: brand.name,
      recipient: notification.value.recipient,
      data: notification.value.data,
      receivedAtMs: clock.nowMs(),
    });
    return typeof verdict === 'string' ? answerTo(verdict) : verdict.then(answerTo);
  };

  const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
    ['register', registrations.register],
    ['unregister', registrations.unregister],
    ['register_legacy_groups_only', registrations.registerGroupsOnly],
    ['subscribe_closed_group', registrations.subscribe],
    ['unsubscribe_closed_group', registrations.unsubscribe],
    ['notify', notify],
  ]);

  function failureOf(method: string, error: unknown): LegacyAnswer {
    if (error instanceof ChangeNotTaken) {
      const { reason } = error;
      switch (reason) {
        case 'busy':
          return busy;
        case 'away':
        case 'closed':
          return away;
        case 'unstorable':
          return refused('This cannot be stored');
        default:
          return assertNever(reason);
      }
    }
    sampled.note(method, (occurrences) =>
      log.error(
        { brand: brand.name, method, fault: faultOf(error), occurrences },
        'a request of an older client failed',
      ),
    );
    return failed;
  }

  async function run(name: string, method: Method, args: LegacyArguments): Promise<LegacyAnswer> {
    try {
      const answer = method(args);
      return answer instanceof Promise ? await inTime(answer, limits.answerTimeoutMs) : answer;
    } catch (error) {
      return failureOf(name, error);
    }
  }

  return {
    has: (name) => methods.has(name),
    async call(name, args) {
      const method = methods.get(name);
      const answer =
        method === undefined ? refused(pythonText(name) ?? 'no such method') : await run(name, method, args);
      const label = method === undefined ? UNKNOWN_METHOD : name;
      metrics.legacyRequests.of(brand.name, label, answer.result).add();
      return answer.reply;
    },
  };
}

const answerTo = (verdict: NoticeVerdict): LegacyAnswer => (verdict === 'taken' ? done : busy);

/** What is under way goes on; only the answer does not wait for it. */
async function inTime(answer: Promise<LegacyAnswer>, timeoutMs: number): Promise<LegacyAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<LegacyAnswer>((resolve) => {
    timer = setTimeout(() => resolve(late), timeoutMs);
  });
  try {
    return await Promise.race([answer, passed]);
  } finally {
    clearTimeout(timer);
  }
}

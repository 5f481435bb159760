import { merge, Subject } from 'rxjs';
import { Spacing, type SpacingOptions, type SpacingTurn } from '../delivery-rules/spacing.js';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { Device } from '../domain/device.js';
import type { PublishOutcome, PublishSummary, PublishTarget, TargetSource, Wake } from '../domain/publish.js';
import type { Push, PushFate } from '../domain/push.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Publishes } from '../xmpp/port.js';
import { DedupeKeys } from './dedupe-keys.js';
import { PublishPassage } from './publish-passage.js';
import { stage } from './stage.js';
import { TargetLookUps, type LookUpResult } from './target-look-ups.js';
import { targetNow } from './target-now.js';

/*
 * The way of a publish, one synchronous step after the other:
 *
 *   resolve  who is behind the node, if the secret is right and the server may; from memory, or else from the database,
 *            with the rest of the way when that has answered. What nobody knows ends here, what cannot be found out too
 *   compose  how the device is woken; one that has lost its token is not
 *   space    the first at once, the second later, and those that come meanwhile are refused
 *   route    to delivery, which says what became of the push
 *
 * The answer. An error other than `wait` ends the registration at the user's server, at once and for ever, and nobody
 * tells the client. So `unknown` and `dead-token` are said only of what is true for certain: the database was asked, or
 * the holders of the token are gone. Everything else that is not success is a `wait`, whoever's fault it is. Success is
 * said when the push is delivered or committed, also of a deferred one: its turn may come after its server has given up.
 *
 * Source: spec xmpp-push, sections 3 and 9.
 */

type OnFate = (fate: PushFate) => void;

export interface XmppPipelineDeps {
  readonly sources: readonly TargetSource[];
  /** `onFate` is called exactly once, perhaps before these return. */
  readonly delivery: {
    deliver(push: Push, onFate: OnFate): void;
    /** Not before this time, unix milliseconds. */
    defer(push: Push, dueAtMs: number, onFate: OnFate): void;
  };
  readonly spacing: SpacingOptions;
  /** Publishes that may wait for the database at once; what comes beyond fails. */
  readonly maxLookUps: number;
  /** Random bytes that nobody can foresee. */
  readonly randomBytes: (count: number) => Buffer;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** A fault of our own in a stage: counted, and logged without the item. */
  readonly onFault: (stageName: string, error: unknown) => void;
}

export interface XmppPipeline extends Publishes {
  /** As a publish to `node`, for whoever knows by other means than its secret that `target` is meant. */
  wake(
    node: string,
    target: PublishTarget,
    summary: PublishSummary,
  ): PublishOutcome | Promise<PublishOutcome>;
  /** What comes afterwards fails, and so does what waits for the database. Pushes that are under way end as they do. */
  complete(): void;
}

interface Resolved {
  readonly passage: PublishPassage;
  readonly target: PublishTarget;
}

interface LookedUp {
  readonly passage: PublishPassage;
  readonly result: LookUpResult;
}

interface Composed extends Resolved {
  readonly device: Device;
  readonly wake: Wake;
}

interface Spaced extends Composed {
  readonly key: string;
  readonly turn: SpacingTurn;
  /** It went to a token before that its client had given up. */
  readonly isRepeated: boolean;
}

const ACCEPTED: PublishOutcome = { kind: 'accepted' };
const UNKNOWN: PublishOutcome = { kind: 'unknown' };
const RATE_LIMITED: PublishOutcome = { kind: 'rate-limited' };
const FAILED: PublishOutcome = { kind: 'failed', text: null };

/** Whether it ends a registration at the user's server. */
const isEnd = ({ kind }: PublishOutcome): boolean => kind === 'unknown' || kind === 'dead-token';

/** Of a node, in the outbox: nobody reads it, and one may be kilobytes long. */
const ACCOUNT_CHARS = 64;

/** `publish` never throws and never rejects. */
export function createXmppPipeline(deps: XmppPipelineDeps): XmppPipeline {
  const { sources, delivery, clock, metrics, onFault } = deps;
  const spacing = new Spacing(deps.spacing);
  const lookUps = new TargetLookUps(sources, deps.maxLookUps);
  const dedupeKeys = new DedupeKeys(deps.randomBytes);
  const outcomes = {
    accepted: metrics.xmppPublishes.of('accepted'),
    unknown: metrics.xmppPublishes.of('unknown'),
    'dead-token': metrics.xmppPublishes.of('dead-token'),
    'rate-limited': metrics.xmppPublishes.of('rate-limited'),
    failed: metrics.xmppPublishes.of('failed'),
  };
  const requests = new Subject<PublishPassage>();
  const lookedUp = new Subject<LookedUp>();
  const vouchedFor = new Subject<Resolved>();

  const settle = (passage: PublishPassage, outcome: PublishOutcome): void => {
    if (passage.settle(outcome)) outcomes[outcome.kind].add();
  };

  /** A fault has cost it the rest of its way. */
  const settleLeft = (passage: PublishPassage): void => {
    if (!passage.isHandedOver) settle(passage, FAILED);
  };

  /** What memory knows, one with a device first. */
  const find = (passage: PublishPassage): PublishTarget | null => {
    let gone: PublishTarget | null = null;
    for (const source of sources) {
      const target = passage.choose(source.find(passage.request.node));
      if (target === null) continue;
      if (target.device !== null) return target;
      gone ??= target;
    }
    return gone;
  };

  const resolve = (passage: PublishPassage): Resolved | null => {
    const target = find(passage);
    if (target !== null && (target.device !== null || !isEnd(target.whenGone(clock.nowMs())))) {
      return { passage, target };
    }
    // Memory may be behind with what another process wrote: before an end the database is asked.
    passage.isHandedOver = true;
    const { node, deadlineMs } = passage.request;
    lookUps.ask(node, deadlineMs - clock.nowMs(), (result) => {
      passage.isHandedOver = false;
      lookedUp.next({ passage, result });
      settleLeft(passage);
    });
    return null;
  };

  const resolveLookedUp = ({ passage, result }: LookedUp): Resolved | null => {
    if (result.kind !== 'answered') {
      metrics.xmppLookUps.of(result.kind).add();
      settle(passage, FAILED);
      return null;
    }
    const target = passage.choose(result.targets);
    metrics.xmppLookUps.of(target === null ? 'unknown' : 'found').add();
    if (target !== null) return { passage, target };
    settle(passage, UNKNOWN);
    return null;
  };

  const compose = ({ passage, target }: Resolved): Composed | null => {
    const { device } = target;
    if (device === null) {
      settle(passage, target.whenGone(clock.nowMs()));
      return null;
    }
    return { passage, target, device, wake: target.compose(passage.request.summary) };
  };

  const space = (composed: Composed): Spaced | null => {
    const key = `${composed.wake.urgency} ${composed.target.key}`;
    const turn = spacing.admit(key, clock.nowMs());
    if (turn.kind === 'refused') {
      settle(composed.passage, RATE_LIMITED);
      return null;
    }
    // Field by field: a spread with more behind it makes a hash table instead of an object, for each publish.
    const { passage, target, device, wake } = composed;
    return { passage, target, device, wake, key, turn, isRepeated: false };
  };

  const route = (spaced: Spaced): null => {
    const { passage, turn } = spaced;
    let isHeard = false;
    const onFate = (fate: PushFate): void => {
      if (isHeard) return;
      isHeard = true;
      hear(spaced, fate);
    };
    passage.isHandedOver = true;
    try {
      const push = pushOf(spaced);
      if (turn.kind === 'at-once') delivery.deliver(push, onFate);
      else {
        metrics.xmppDeferred.add();
        delivery.defer(push, turn.dueAtMs, onFate);
      }
    } catch (error) {
      onFault('xmpp-route', error);
      onFate('lost');
    }
    return null;
  };

  const pushOf = ({ passage, target, device, wake, turn }: Spaced): Push => ({
    service: target.service,
    account: Buffer.from(passage.request.node.slice(0, ACCOUNT_CHARS)),
    device,
    content: wake.content,
    priority: wake.priority,
    // From when it may be sent: what waits for its turn would be over by then, where turns are far apart.
    expiresAtMs: (turn.kind === 'deferred' ? turn.dueAtMs : turn.atMs) + wake.lifetimeMs,
    dedupeKey: dedupeKeys.next(),
    receivedAtMs: passage.receivedAtMs,
    attempts: 0,
    outboxId: null,
  });

  const hear = (spaced: Spaced, fate: PushFate): void => {
    const { passage, target, key, turn } = spaced;
    if (fate === 'dead-token' || fate === 'token-kept') {
      const repeated = again(spaced);
      if (repeated !== null) {
        route(repeated);
        return;
      }
    }
    if (fate === 'lost' || fate === 'no-notifier') spacing.giveBack(key, turn);
    const nowMs = clock.nowMs();
    let outcome = FAILED;
    try {
      outcome = outcomeOf(passage, target, fate, nowMs);
    } catch (error) {
      onFault('xmpp-answer', error);
    }
    settle(passage, outcome);
    try {
      target.note(fate, nowMs);
    } catch (error) {
      onFault('xmpp-note', error);
    }
  };

  const outcomeOf = (
    passage: PublishPassage,
    target: PublishTarget,
    fate: PushFate,
    nowMs: number,
  ): PublishOutcome => {
    switch (fate) {
      case 'delivered':
      case 'stored':
      case 'superseded':
        return ACCEPTED;
      case 'dead-token':
        return isBack(passage, target) ? FAILED : target.whenGone(nowMs);
      case 'token-kept':
      case 'given-up':
      case 'expired':
      case 'no-notifier':
      case 'lost':
        return FAILED;
      default:
        return assertNever(fate);
    }
  };

  /** Its client came again, with a new token or of another type, while the push was under way: the node is good. */
  const isBack = ({ request }: PublishPassage, { key }: PublishTarget): boolean => {
    const target = targetNow(sources, request.node, key);
    return target !== null && (target.device !== null || !isEnd(target.whenGone(clock.nowMs())));
  };

  /** The token was called dead, and its client has brought another one meanwhile: to that, once. */
  const again = ({ passage, target, device, key, turn, isRepeated }: Spaced): Spaced | null => {
    if (isRepeated) return null;
    const now = targetNow(sources, passage.request.node, target.key);
    if (now === null || now.device === null) return null;
    if (now.device.serviceId === device.serviceId && now.service === target.service) return null;
    const wake = now.compose(passage.request.summary);
    return { passage, target: now, device: now.device, wake, key, turn, isRepeated: true };
  };

  const subscription = merge(
    requests.pipe(stage('xmpp-resolve', resolve, onFault)),
    lookedUp.pipe(stage('xmpp-look-up', resolveLookedUp, onFault)),
    vouchedFor,
  )
    .pipe(
      stage('xmpp-compose', compose, onFault),
      stage('xmpp-space', space, onFault),
      stage('xmpp-route', route, onFault),
    )
    .subscribe();

  return {
    publish(request) {
      const passage = new PublishPassage(request, clock.nowMs());
      requests.next(passage);
      settleLeft(passage);
      return passage.answer();
    },
    wake(node, target, summary) {
      const nowMs = clock.nowMs();
      const request = { node, secret: '', summary, senderDomain: '', isFromServer: false, deadlineMs: nowMs };
      const passage = new PublishPassage(request, nowMs);
      vouchedFor.next({ passage, target });
      settleLeft(passage);
      return passage.answer();
    },
    complete() {
      lookUps.stop();
      requests.complete();
      lookedUp.complete();
      vouchedFor.complete();
      subscription.unsubscribe();
    },
  };
}

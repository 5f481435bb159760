import { describe, expect, it } from 'vitest';
import { createNotifierActor, type NotifierActorOptions } from '../../../src/actors/notifier.js';
import { createActorSystem } from '../../../src/actors/spawn.js';
import type { ServiceName } from '../../../src/domain/ids.js';
import type { Outcome } from '../../../src/domain/outcome.js';
import type { Push } from '../../../src/domain/push.js';
import { ok } from '../../../src/domain/result.js';
import type { Notifier } from '../../../src/notifiers/port.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';
import { MemoryOutbox } from '../../simulators/memory-outbox.js';
import { accountOf, bytesOf, tokenOf } from '../../simulators/subscriptions.js';

const SERVICE = 'apns' as ServiceName;
const delivered: Outcome = { kind: 'delivered' };

const makePush = (label: string, changes: Partial<Push> = {}): Push => ({
  service: SERVICE,
  account: accountOf(label),
  device: { serviceId: tokenOf(label), serviceData: null },
  content: { kind: 'sealed', payload: bytesOf(label, 296) },
  priority: 'high',
  expiresAtMs: Date.now() + 60_000,
  dedupeKey: bytesOf(label, 16),
  receivedAtMs: Date.now(),
  attempts: 0,
  outboxId: null,
  ...changes,
});

function setUp(
  answer: (push: Push, signal: AbortSignal) => Promise<Outcome>,
  { maxInFlight = 4, ...options }: Partial<NotifierActorOptions> & { maxInFlight?: number } = {},
) {
  const clock = { nowMs: () => Date.now() };
  const metrics = new Metrics();
  const system = createActorSystem({ log: silentLog(), metrics, clock });
  const outbox = new MemoryOutbox(clock);
  const sent: Push[] = [];
  const dead: { push: Push; sinceMs: number | null }[] = [];
  let closed = false;
  const notifier: Notifier = {
    service: SERVICE,
    type: 'test',
    capabilities: { maxPayloadBytes: 2856, supportsExpiry: true, supportsPriority: true, maxInFlight },
    validate: () => ok({ serviceId: tokenOf('x'), serviceData: null }),
    send: (push, signal) => {
      sent.push(push);
      return answer(push, signal);
    },
    health: () => ({ state: 'connected', detail: null }),
    close: async () => {
      closed = true;
    },
  };
  const actor = createNotifierActor(
    system,
    notifier,
    {
      credits: 10,
      outboxBatch: 5,
      outboxPollMs: 20,
      breakerFailures: 3,
      breakerProbeMs: 100,
      maxPauseMs: 60_000,
      ...options,
    },
    {
      outbox,
      nextAttempt: (push, afterMs) =>
        push.attempts > 3
          ? { kind: 'give-up', reason: 'attempts' }
          : { kind: 'again', dueAtMs: Date.now() + (afterMs ?? 10) },
      onDeadToken: (push, sinceMs) => dead.push({ push, sinceMs }),
      onDelivered: () => undefined,
      onGivenUp: () => undefined,
      clock,
      log: silentLog(),
      metrics,
    },
  );
  const stop = async (drainMs = 1000): Promise<void> => {
    await actor.drain(AbortSignal.timeout(drainMs));
    await system.stop();
  };
  return { actor, outbox, sent, dead, metrics, stop, isClosed: () => closed };
}

/** Answers that the test gives when it likes. */
function gate() {
  const waiting: ((outcome: Outcome) => void)[] = [];
  return {
    waiting,
    answer: () => new Promise<Outcome>((resolve) => waiting.push(resolve)),
    open: (outcome: Outcome = delivered) => {
      for (const resolve of waiting.splice(0)) resolve(outcome);
    },
  };
}

describe('a notifier actor', () => {
  it('takes no more than its credits and keeps no more than its window at the provider', async () => {
    const provider = gate();
    const { actor, sent, stop } = setUp(provider.answer);
    const taken = Array.from({ length: 15 }, (_, i) => actor.offer(makePush(`${i}`)));
    expect(taken.filter(Boolean)).toHaveLength(10);
    await eventually(() => sent.length === 4);
    expect(actor.status()).toMatchObject({ held: 10, inFlight: 4 });
    provider.open();
    await eventually(() => sent.length === 8);
    expect(actor.offer(makePush('later'))).toBe(true);
    const opener = setInterval(() => provider.open(), 1);
    await stop();
    clearInterval(opener);
    expect(sent).toHaveLength(11);
  });

  it('brings what waits in the outbox back when credits are free, in order of due time', async () => {
    const { actor, outbox, sent, stop } = setUp(() => Promise.resolve(delivered));
    for (let i = 0; i < 12; i += 1) outbox.put({ push: makePush(`${i}`), dueAtMs: Date.now() - 1000 + i });
    actor.expectOutbox();
    await eventually(() => outbox.settled.length === 12);
    expect(sent.map((push) => push.device.serviceId)).toEqual(
      Array.from({ length: 12 }, (_, i) => tokenOf(`${i}`)),
    );
    expect(outbox.rows.size).toBe(0);
    await stop();
  });

  it('sends a push again later with its attempts counted, and gives up in the end', async () => {
    const failure: Outcome = {
      kind: 'retry',
      reason: 'InternalServerError',
      cause: 'server',
      afterMs: null,
      scope: 'push',
    };
    const { actor, sent, metrics, outbox, stop } = setUp(() => Promise.resolve(failure));
    actor.offer(makePush('a'));
    await eventually(() => metrics.dropped.of('apns').value === 1);
    expect(sent.map((push) => push.attempts)).toEqual([0, 1, 2, 3]);
    expect(outbox.rows.size).toBe(0);
    expect(actor.status().held).toBe(0);
    await stop();
  });

  it('sends nothing at all while the provider wants a pause', async () => {
    const at: number[] = [];
    const { actor, sent, stop, outbox } = setUp(
      () => {
        at.push(Date.now());
        return Promise.resolve(
          at.length === 1
            ? {
                kind: 'retry',
                reason: 'TooManyRequests',
                cause: 'throttled',
                afterMs: 200,
                scope: 'notifier',
              }
            : delivered,
        );
      },
      { maxInFlight: 1 },
    );
    for (let i = 0; i < 5; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => actor.status().pausedUntilMs !== null);
    expect(actor.offer(makePush('during'))).toBe(false);
    await eventually(() => sent.length === 6 && outbox.rows.size === 0);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(199);
    await stop();
  });

  it('opens its breaker after failures in a row, lets one push probe, and closes again', async () => {
    let isUp = false;
    const { actor, sent, stop, outbox } = setUp(
      () =>
        Promise.resolve(
          isUp
            ? delivered
            : { kind: 'retry', reason: 'refused', cause: 'transport', afterMs: null, scope: 'push' },
        ),
      { maxInFlight: 1 },
    );
    for (let i = 0; i < 6; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => actor.status().breaker !== 'closed');
    const before = sent.length;
    expect(before).toBe(3);
    expect(actor.offer(makePush('refused'))).toBe(false);
    await eventually(() => sent.length > before);
    isUp = true;
    await eventually(
      () => actor.status().breaker === 'closed' && outbox.rows.size === 0 && actor.status().held === 0,
    );
    expect(actor.offer(makePush('taken'))).toBe(true);
    await stop();
  });

  it('drops a push that has expired while it waited', async () => {
    const { actor, sent, metrics, stop } = setUp(() => Promise.resolve(delivered));
    actor.offer(makePush('old', { expiresAtMs: Date.now() - 1 }));
    await eventually(() => metrics.pushesExpired.of('apns').value === 1);
    expect(sent).toHaveLength(0);
    await stop();
  });

  it('reports a dead token with the provider’s time and does not send it again', async () => {
    const { actor, dead, sent, outbox, stop } = setUp(() =>
      Promise.resolve({ kind: 'dead-token', reason: 'Unregistered', sinceMs: 123 }),
    );
    actor.offer(makePush('a'));
    await eventually(() => dead.length === 1);
    expect(dead[0]?.sinceMs).toBe(123);
    expect(sent).toHaveLength(1);
    expect(outbox.rows.size).toBe(0);
    await stop();
  });

  it('loses no push to a notifier that breaks the rules and rejects', async () => {
    let calls = 0;
    const { actor, metrics, stop } = setUp(() => {
      calls += 1;
      return calls === 1 ? Promise.reject(new Error('bug')) : Promise.resolve(delivered);
    });
    actor.offer(makePush('a'));
    await eventually(() => metrics.delivered.of('apns').value === 1);
    await stop();
  });

  it('at a stop waits for what is in flight, and puts the rest into the outbox at the deadline', async () => {
    const { actor, outbox, stop, isClosed } = setUp(
      (_push, signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () =>
            resolve({ kind: 'retry', reason: 'stopping', cause: 'transport', afterMs: null, scope: 'push' }),
          ),
        ),
    );
    for (let i = 0; i < 9; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => actor.status().inFlight === 4);
    await stop(50);
    expect(outbox.rows.size).toBe(9);
    expect(isClosed()).toBe(true);
  });
});

import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/domain/outcome.js';
import type { Push, PushFate } from '../../../src/domain/push.js';
import { eventually } from '../../simulators/eventually.js';
import { tokenOf } from '../../simulators/subscriptions.js';
import { delivered, gate, makePush, setUp } from './notifier-harness.js';

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

  it.each(['spill', 'journal'] as const)(
    'keeps a device that an XMPP server speaks for while a dead token may be a wrong setting (%s)',
    async (durability) => {
      const { actor, dead, sent, stop } = setUp(
        () => Promise.resolve({ kind: 'dead-token', reason: 'bad', sinceMs: null, mayBeOurs: true }),
        { durability },
      );
      const fates: PushFate[] = [];
      const wake = { content: { kind: 'wake', payload: Buffer.from('{}') } } as const;
      actor.offer(makePush('a', wake), (fate) => fates.push(fate));
      await eventually(() => sent.length === 1 && fates.length === 1 && actor.status().held === 0);
      expect(fates).toEqual([durability === 'spill' ? 'token-kept' : 'stored']);
      expect(dead).toEqual([]);
      actor.offer(makePush('b'));
      await eventually(() => dead.length === 1);
      dead[0]?.settle(true);
      await stop();
    },
  );

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

  it('asks the outbox even with a single credit', async () => {
    const { actor, outbox, stop } = setUp(() => Promise.resolve(delivered), { credits: 1 });
    outbox.put({ push: makePush('a'), dueAtMs: Date.now() - 1 });
    actor.expectOutbox();
    await eventually(() => outbox.settled.length === 1);
    await stop();
  });

  it('does not ask the outbox for what it put there for later', async () => {
    const { actor, outbox, sent, stop } = setUp(
      () =>
        Promise.resolve({ kind: 'retry', reason: 'later', cause: 'server', afterMs: 60_000, scope: 'push' }),
      { outboxPollMs: 60_000 },
    );
    let claims = 0;
    const claim = outbox.claim.bind(outbox);
    outbox.claim = (service, limit) => {
      claims += 1;
      return claim(service, limit);
    };
    for (let i = 0; i < 20; i += 1) {
      actor.offer(makePush(`${i}`));
      await eventually(() => outbox.rows.size === i + 1);
    }
    expect(sent).toHaveLength(20);
    expect(claims).toBe(1);
    await stop();
  });

  it('loses no push to a notifier that throws', async () => {
    let calls = 0;
    const { actor, metrics, stop } = setUp(() => {
      calls += 1;
      if (calls === 1) throw new Error('bug');
      return Promise.resolve(delivered);
    });
    actor.offer(makePush('a'));
    actor.offer(makePush('b'));
    await eventually(() => metrics.delivered.of('apns').value === 2);
    expect(actor.status()).toMatchObject({ held: 0, inFlight: 0 });
    await stop();
  });

  it.each<[string, Outcome]>([
    ['is away', { kind: 'retry', reason: 'gone', cause: 'transport', afterMs: null, scope: 'push' }],
    ['refuses our settings', { kind: 'misconfigured', reason: 'InvalidProviderToken' }],
    ['is overloaded', { kind: 'retry', reason: 'busy', cause: 'server', afterMs: 20, scope: 'notifier' }],
  ])('gives up no push because its provider %s for long', async (_what, failure) => {
    let isUp = false;
    const { actor, sent, givenUp, metrics, stop } = setUp(() => Promise.resolve(isUp ? delivered : failure), {
      breakerProbeMs: 20,
    });
    for (let i = 0; i < 5; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => sent.length >= 40);
    expect(givenUp).toEqual([]);
    isUp = true;
    await eventually(() => metrics.delivered.of('apns').value === 5);
    await stop();
  });

  it('gives up a push that alone makes its provider hold back, while others are delivered', async () => {
    const { actor, givenUp, metrics, stop } = setUp((push) =>
      Promise.resolve(
        push.device.serviceId === tokenOf('poison')
          ? { kind: 'retry', reason: 'quota', cause: 'throttled', afterMs: 5, scope: 'notifier' }
          : delivered,
      ),
    );
    actor.offer(makePush('poison'));
    let offered = 0;
    await eventually(() => {
      if (actor.offer(makePush(`${offered}`))) offered += 1;
      return givenUp.length === 1;
    });
    await eventually(() => metrics.delivered.of('apns').value === offered);
    await stop();
  });

  it('probes with one push at a time after its settings were refused', async () => {
    let atOnce = 0;
    const { actor, sent, stop } = setUp(
      async () => {
        atOnce += 1;
        await new Promise((resolve) => setImmediate(resolve));
        if (sent.length > 10) expect(atOnce).toBe(1);
        atOnce -= 1;
        return { kind: 'misconfigured', reason: 'InvalidProviderToken' };
      },
      { breakerProbeMs: 30 },
    );
    for (let i = 0; i < 10; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => actor.status().breaker === 'open');
    const before = sent.length;
    expect(before).toBeLessThanOrEqual(8);
    await eventually(() => sent.length >= before + 6);
    await stop();
  });

  it('is not held back longer because the clock was put back', async () => {
    const answers: Outcome[] = [
      { kind: 'retry', reason: 'slow', cause: 'throttled', afterMs: 50_000, scope: 'notifier' },
    ];
    const { actor, clock, stop } = setUp(() => Promise.resolve(answers.pop() ?? delivered));
    actor.offer(makePush('a'));
    await eventually(() => actor.status().pausedUntilMs !== null);
    clock.offsetMs = -24 * 3_600_000;
    const leftMs = (actor.status().pausedUntilMs ?? 0) - clock.nowMs();
    expect(leftMs).toBeGreaterThan(40_000);
    expect(leftMs).toBeLessThanOrEqual(50_001);
    await stop();
  });

  it('gives up no push because its last attempt was broken off by a stop', async () => {
    const answer = (_push: Push, signal: AbortSignal): Promise<Outcome> =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () =>
          resolve({ kind: 'retry', reason: 'aborted', cause: 'transport', afterMs: null, scope: 'push' }),
        ),
      );
    const { actor, outbox, givenUp, stop } = setUp(answer);
    actor.offer(makePush('a', { attempts: 3 }));
    await eventually(() => actor.status().inFlight === 1);
    await stop(10);
    expect(givenUp).toEqual([]);
    expect([...outbox.rows.values()]).toMatchObject([{ push: { attempts: 3 } }]);
  });

  it('at a stop keeps the pushes of a notifier that never settles them', async () => {
    let late: (outcome: Outcome) => void = () => undefined;
    const { actor, outbox, metrics, stop } = setUp(() => new Promise((resolve) => (late = resolve)));
    actor.offer(makePush('a'));
    await eventually(() => actor.status().inFlight === 1);
    await stop(10);
    expect([...outbox.rows.values()]).toMatchObject([{ push: { attempts: 0 } }]);
    late(delivered);
    await new Promise((resolve) => setImmediate(resolve));
    expect(metrics.delivered.of('apns').value).toBe(0);
    expect(outbox.rows.size).toBe(1);
  });

  it('at the deadline of a stop waits for no claim, and sends nothing that a late one brings', async () => {
    const { actor, outbox, sent, stop } = setUp(
      (_push, signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () =>
            resolve({ kind: 'retry', reason: 'stopping', cause: 'transport', afterMs: null, scope: 'push' }),
          ),
        ),
      { outboxPollMs: 60_000 },
    );
    const claim = outbox.claim.bind(outbox);
    const late: (() => void)[] = [];
    outbox.claim = (service, limit) =>
      new Promise((resolve) => late.push(() => resolve(claim(service, limit))));
    outbox.put({ push: makePush('late'), dueAtMs: Date.now() - 1 });
    actor.offer(makePush('fresh'));
    await eventually(() => sent.length === 1 && late.length === 1);
    await stop(30);
    for (const hand of late) hand();
    expect(sent).toHaveLength(1);
    expect(outbox.rows.size).toBe(2);
    expect(
      [...outbox.rows.values()].find(({ push }) => push.device.serviceId === tokenOf('late')),
    ).toMatchObject({ push: { attempts: 0 } });
  });
});

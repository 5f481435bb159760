import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/domain/outcome.js';
import { eventually } from '../../simulators/eventually.js';
import { tokenOf } from '../../simulators/subscriptions.js';
import { delivered, gate, makePush, setUp } from './notifier-harness.js';

const throttled = (afterMs: number | null): Outcome => ({
  kind: 'retry',
  reason: 'TooManyRequests',
  cause: 'throttled',
  afterMs,
  scope: 'notifier',
});
const unreachable: Outcome = {
  kind: 'retry',
  reason: 'unreachable',
  cause: 'transport',
  afterMs: null,
  scope: 'push',
};

describe('a notifier actor that is held back', () => {
  it('moves what waits in memory to the outbox, sends nothing during the pause and everything right after', async () => {
    const provider = gate();
    const sentAt: number[] = [];
    const { actor, outbox, sent, metrics, stop } = setUp(
      () => {
        sentAt.push(Date.now());
        return provider.answer();
      },
      { maxInFlight: 2, spillAfterMs: 100, outboxPollMs: 60_000 },
    );
    for (let i = 0; i < 9; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => sent.length === 2);
    provider.open(throttled(300));
    await eventually(() => outbox.rows.size === 9);
    const until = actor.status().pausedUntilMs ?? Infinity;
    expect(actor.heldUntilMs()).toBe(until);
    expect(actor.status()).toMatchObject({ held: 0, waiting: 0, inFlight: 0 });
    const dueAtTheEnd = [...outbox.rows.values()].filter(({ dueAtMs }) => dueAtMs === until);
    expect(dueAtTheEnd.length).toBeGreaterThanOrEqual(7);
    expect([...outbox.rows.values()].every(({ dueAtMs }) => dueAtMs >= until - 1)).toBe(true);
    const opener = setInterval(() => provider.open(), 1);
    await eventually(() => metrics.delivered.of('apns').value >= 7);
    expect(Math.min(...sentAt.slice(2))).toBeGreaterThanOrEqual(until);
    await stop();
    clearInterval(opener);
  });

  it('keeps what waits in memory for a short pause, and goes on when it ends without waiting for the next look', async () => {
    const answers = [throttled(60)];
    const { actor, outbox, sent, metrics, stop } = setUp(() => Promise.resolve(answers.pop() ?? delivered), {
      maxInFlight: 1,
      outboxPollMs: 60_000,
    });
    for (let i = 0; i < 5; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => outbox.rows.size === 1);
    expect(sent).toHaveLength(1);
    expect(actor.status().waiting).toBe(4);
    await eventually(() => metrics.delivered.of('apns').value >= 4);
    await stop();
  });

  it('keeps in memory what the outbox has no room for, and loses none of it', async () => {
    const answers = [throttled(150)];
    const { actor, outbox, metrics, stop } = setUp(() => Promise.resolve(answers.pop() ?? delivered), {
      maxInFlight: 1,
      spillAfterMs: 10,
    });
    outbox.isFull = true;
    for (let i = 0; i < 6; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => actor.status().pausedUntilMs !== null && actor.status().inFlight === 0);
    expect(actor.status()).toMatchObject({ held: 6, waiting: 6 });
    await eventually(() => metrics.delivered.of('apns').value === 6);
    expect(metrics.pushesLost.total()).toBe(0);
    expect(actor.status().held).toBe(0);
    await stop();
  });

  it('puts what it could not store into the outbox as soon as there is room', async () => {
    const { actor, outbox, stop } = setUp(() =>
      Promise.resolve({ ...throttled(60_000), scope: 'push' } as Outcome),
    );
    outbox.isFull = true;
    actor.offer(makePush('a'));
    await eventually(() => actor.status().waiting === 1 && actor.status().inFlight === 0);
    expect(actor.status().held).toBe(1);
    outbox.isFull = false;
    await eventually(() => outbox.rows.size === 1);
    expect(actor.status()).toMatchObject({ held: 0, waiting: 0 });
    expect([...outbox.rows.values()][0]?.push.attempts).toBe(1);
    await stop();
  });

  it('at the deadline of a stop counts as lost what the outbox still has no room for', async () => {
    const provider = gate();
    const { actor, outbox, sent, metrics, stop } = setUp(
      (_push, signal) => {
        signal.addEventListener('abort', () => provider.open(unreachable));
        return provider.answer();
      },
      { maxInFlight: 2 },
    );
    outbox.isFull = true;
    const answers: string[] = [];
    for (let i = 0; i < 5; i += 1) actor.offer(makePush(`${i}`), (fate) => answers.push(fate));
    await eventually(() => sent.length === 2);
    await stop(40);
    expect(metrics.pushesLost.of('apns').value).toBe(5);
    expect(answers).toEqual(['lost', 'lost', 'lost', 'lost', 'lost']);
  });

  it('gives rows of the outbox back, due when the pause ends', async () => {
    const provider = gate();
    const { actor, outbox, sent, stop } = setUp(provider.answer, { maxInFlight: 1, spillAfterMs: 10 });
    for (let i = 0; i < 4; i += 1) outbox.put({ push: makePush(`${i}`), dueAtMs: Date.now() - 10 + i });
    actor.expectOutbox();
    await eventually(() => sent.length === 1 && actor.status().waiting === 3);
    provider.open(throttled(5_000));
    await eventually(() => actor.status().held === 0);
    expect([...outbox.rows.values()].every((row) => !row.claimed && row.dueAtMs > Date.now() + 4_000)).toBe(
      true,
    );
    expect(outbox.rows.size).toBe(4);
    await stop();
  });

  it('halves its window once for all that were in flight together, and grows it again while it is used', async () => {
    const provider = gate();
    const { actor, sent, stop } = setUp(provider.answer, { maxInFlight: 64, credits: 200, windowMin: 2 });
    for (let i = 0; i < 200; i += 1) actor.offer(makePush(`${i}`));
    await eventually(() => sent.length === 64);
    expect(actor.status()).toMatchObject({ window: 64, windowMax: 64 });
    provider.open(throttled(20));
    await eventually(() => actor.status().inFlight === 32);
    expect(actor.status().window).toBe(32);
    const opener = setInterval(() => {
      while (actor.offer(makePush('more')));
      provider.open();
    }, 1);
    await eventually(() => actor.status().window === 64);
    clearInterval(opener);
    const last = setInterval(() => provider.open(), 1);
    await stop();
    clearInterval(last);
  });

  it('while it probes takes one push, and refuses the others', async () => {
    const provider = gate();
    const { actor, sent, stop } = setUp(provider.answer, {
      breakerFailures: 1,
      breakerProbeMs: 30,
      spillAfterMs: 10,
      outboxPollMs: 60_000,
    });
    actor.offer(makePush('first'));
    await eventually(() => sent.length === 1);
    provider.open({ kind: 'retry', reason: 'gone', cause: 'transport', afterMs: 5_000, scope: 'push' });
    await eventually(() => actor.status().breaker === 'probing');
    await eventually(() => actor.offer(makePush('probe')));
    expect(actor.offer(makePush('other'))).toBe(false);
    await eventually(() => sent.length === 2);
    provider.open();
    await eventually(() => actor.status().breaker === 'closed');
    expect(sent[1]?.device.serviceId).toBe(tokenOf('probe'));
    await eventually(() => actor.offer(makePush('other')));
    const opener = setInterval(() => provider.open(), 1);
    await stop();
    clearInterval(opener);
  });

  it('does not count a postponed push as an attempt, nor against the provider', async () => {
    const answers = new Map<string, number>();
    const { actor, sent, metrics, stop } = setUp(
      (push) => {
        const asked = (answers.get(push.device.serviceId) ?? 0) + 1;
        answers.set(push.device.serviceId, asked);
        return Promise.resolve(
          asked > 5 ? delivered : { kind: 'postponed', reason: 'origin-paused', afterMs: 0 },
        );
      },
      { breakerFailures: 1 },
    );
    actor.offer(makePush('a'));
    await eventually(() => metrics.delivered.of('apns').value === 1);
    expect(sent.map((push) => push.attempts)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(metrics.pushesPostponed.of('apns').value).toBe(5);
    expect(metrics.retried.total()).toBe(0);
    expect(actor.status()).toMatchObject({ breaker: 'closed', window: 4 });
    await stop();
  });

  it('ends a push that is postponed for ever when its time is over', async () => {
    const { actor, outbox, metrics, stop } = setUp(() =>
      Promise.resolve({ kind: 'postponed', reason: 'origin-paused', afterMs: 20 }),
    );
    const answers: string[] = [];
    actor.offer(makePush('a', { expiresAtMs: Date.now() + 250 }), (fate) => answers.push(fate));
    await eventually(() => metrics.pushesExpired.of('apns').value === 1);
    expect(outbox.rows.size).toBe(0);
    expect(answers).toEqual(['stored']);
    expect(actor.status().held).toBe(0);
    await stop();
  });
});

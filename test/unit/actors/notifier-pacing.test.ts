import { describe, expect, it } from 'vitest';
import type { Push } from '../../../src/domain/push.js';
import { eventually } from '../../simulators/eventually.js';
import { delivered, gate, makePush, setUp } from './notifier-harness.js';

let arrivals = 0;
/** The n-th push for a device. */
const pushFor = (device: string, n: number): Push =>
  makePush(device, { receivedAtMs: Date.now() + (arrivals += 1), dedupeKey: Buffer.from([n]) });
const numbersOf = (pushes: readonly Push[]): (number | undefined)[] =>
  pushes.map(({ dedupeKey }) => dedupeKey[0]);

describe('a notifier actor that paces', () => {
  it('sends the first of a burst at once and the last when the device’s time has come', async () => {
    const { actor, sent, metrics, stop } = setUp(() => Promise.resolve(delivered), { paceSeconds: 0.3 });
    const startedAt = Date.now();
    for (let n = 0; n < 8; n += 1) actor.offer(pushFor('a', n));
    actor.offer(pushFor('b', 100));
    await eventually(() => sent.length === 2 && actor.status().paced === 1 && actor.status().held === 0);
    expect(numbersOf(sent)).toEqual([0, 100]);
    expect(metrics.pushesSuperseded.of('apns').value).toBe(6);
    await eventually(() => sent.length === 3);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(299);
    expect(numbersOf(sent)).toEqual([0, 100, 7]);
    await stop();
  });

  it('lets a later push supersede rows of the outbox, whose rows end', async () => {
    const { actor, outbox, sent, stop } = setUp(() => Promise.resolve(delivered), { paceSeconds: 0.2 });
    for (let n = 0; n < 4; n += 1) outbox.put({ push: pushFor('a', n), dueAtMs: Date.now() - 10 + n });
    actor.expectOutbox();
    await eventually(() => outbox.settled.length === 4);
    expect(numbersOf(sent)).toEqual([0, 3]);
    expect(outbox.rows.size).toBe(0);
    await stop();
  });

  it('does not let an older push that comes back supersede a newer one', async () => {
    const { actor, outbox, sent, stop } = setUp(() => Promise.resolve(delivered), { paceSeconds: 0.2 });
    const old = pushFor('a', 1);
    actor.offer(pushFor('a', 2));
    actor.offer(pushFor('a', 3));
    await eventually(() => actor.status().paced === 1);
    outbox.put({ push: old, dueAtMs: Date.now() - 1 });
    actor.expectOutbox();
    await eventually(() => sent.length === 2 && outbox.settled.length === 1);
    expect(numbersOf(sent)).toEqual([2, 3]);
    await stop();
  });

  it('at a stop puts what it holds into the outbox, due when the device’s time comes', async () => {
    const { actor, outbox, stop } = setUp(() => Promise.resolve(delivered), { paceSeconds: 60 });
    actor.offer(pushFor('a', 1));
    actor.offer(pushFor('a', 2));
    await eventually(() => actor.status().paced === 1);
    await stop();
    const [row] = outbox.rows.values();
    expect(row?.push.dedupeKey[0]).toBe(2);
    expect((row?.dueAtMs ?? 0) - Date.now()).toBeGreaterThan(58_000);
  });

  it('holds no more than its bound; the others wait in the outbox', async () => {
    const { actor, outbox, sent, stop } = setUp(() => Promise.resolve(delivered), {
      paceSeconds: 60,
      credits: 4,
      maxInFlight: 4,
    });
    for (const n of [1, 2]) {
      for (let device = 0; device < 6; device += 1) {
        await eventually(() => actor.offer(pushFor(`${device}`, n)), { everyMs: 1 });
      }
    }
    await eventually(() => actor.status().paced === 4 && outbox.rows.size === 2);
    expect(numbersOf(sent)).toEqual([1, 1, 1, 1, 1, 1]);
    expect([...outbox.rows.values()].every(({ dueAtMs }) => dueAtMs > Date.now() + 50_000)).toBe(true);
    await stop();
  });

  it('journals a push whose source waits for an answer, instead of letting it wait for the device’s time', async () => {
    const { actor, outbox, sent, stop } = setUp(() => Promise.resolve(delivered), { paceSeconds: 0.3 });
    const answers: string[] = [];
    for (const n of [1, 2, 3]) actor.offer(pushFor('a', n), (fate) => answers.push(`${n} ${fate}`));
    await eventually(() => answers.length === 3);
    expect(sent).toHaveLength(1);
    expect(answers.sort()).toEqual(['1 delivered', '2 stored', '3 stored']);
    await eventually(() => sent.length === 2);
    expect(numbersOf(sent)).toEqual([1, 3]);
    await eventually(() => outbox.rows.size === 0);
    await stop();
  });

  it('does not count a postponed push as sent', async () => {
    let asked = 0;
    const { actor, sent, stop } = setUp(
      () =>
        Promise.resolve((asked += 1) === 1 ? { kind: 'postponed', reason: 'busy', afterMs: 1 } : delivered),
      { paceSeconds: 60 },
    );
    actor.offer(pushFor('a', 1));
    await eventually(() => sent.length === 2);
    await stop();
  });

  it('moves what becomes due during a long pause to the outbox', async () => {
    const provider = gate();
    const { actor, outbox, sent, stop } = setUp(provider.answer, { paceSeconds: 0.2, spillAfterMs: 10 });
    actor.offer(pushFor('a', 1));
    await eventually(() => sent.length === 1);
    actor.offer(pushFor('a', 2));
    await eventually(() => actor.status().paced === 1);
    provider.open({ kind: 'retry', reason: '429', cause: 'throttled', afterMs: 5_000, scope: 'notifier' });
    await eventually(() => outbox.rows.size === 2 && actor.status().paced === 0);
    expect(actor.status().held).toBe(0);
    expect(sent).toHaveLength(1);
    await stop();
  });
});

import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/domain/outcome.js';
import type { Push } from '../../../src/domain/push.js';
import { eventually } from '../../simulators/eventually.js';
import { tokenOf } from '../../simulators/subscriptions.js';
import { delivered, gate, makePush, setUp } from './notifier-harness.js';

const later: Outcome = { kind: 'retry', reason: 'busy', cause: 'server', afterMs: 60_000, scope: 'push' };

/** Lets a few turns of the event loop pass. */
const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('a notifier actor and its outbox', () => {
  it('serves both while more fresh pushes come than it can send', async () => {
    const provider = gate();
    const { actor, outbox, sent, stop } = setUp(provider.answer, { credits: 40, maxInFlight: 4 });
    for (let i = 0; i < 60; i += 1) outbox.put({ push: makePush(`row ${i}`), dueAtMs: Date.now() - 100 + i });
    actor.expectOutbox();
    let fresh = 0;
    const isFromOutbox = (push: { outboxId: string | null }): boolean => push.outboxId !== null;
    await eventually(
      async () => {
        while (actor.offer(makePush(`fresh ${fresh}`))) fresh += 1;
        await turns(3);
        provider.open();
        return outbox.settled.length >= 40;
      },
      { everyMs: 1 },
    );
    const claimed = sent.filter(isFromOutbox).length;
    const share = claimed / sent.length;
    expect(share).toBeGreaterThan(0.15);
    expect(share).toBeLessThan(0.35);
    const opener = setInterval(() => provider.open(), 1);
    await stop();
    clearInterval(opener);
  });

  it('leaves most of the window to fresh pushes while they come', async () => {
    const provider = gate();
    const { actor, outbox, sent, stop } = setUp(provider.answer, { credits: 100, maxInFlight: 20 });
    actor.offer(makePush('fresh'));
    for (let i = 0; i < 40; i += 1) outbox.put({ push: makePush(`row ${i}`), dueAtMs: Date.now() - 1 });
    actor.expectOutbox();
    await eventually(() => sent.length === 6, { what: 'one fresh push and a quarter of the window' });
    await turns(20);
    expect(sent.length).toBe(6);
    for (let i = 0; i < 14; i += 1) expect(actor.offer(makePush(`fresh ${i}`))).toBe(true);
    await eventually(() => sent.length === 20, { what: 'the window is full' });
    const opener = setInterval(() => provider.open(), 1);
    await eventually(() => outbox.settled.length === 40);
    await stop();
    clearInterval(opener);
  });

  it('finds what waits though fresh pushes always hold every credit', async () => {
    const provider = gate();
    const { actor, outbox, stop } = setUp(provider.answer, { credits: 20, maxInFlight: 4, outboxPollMs: 10 });
    while (actor.offer(makePush('first')));
    await turns(5);
    for (let i = 0; i < 10; i += 1) outbox.put({ push: makePush(`row ${i}`), dueAtMs: Date.now() - 1 });
    let largest = 0;
    await eventually(
      async () => {
        while (actor.offer(makePush('fresh')));
        largest = Math.max(largest, actor.status().held);
        await turns(3);
        provider.open();
        return outbox.settled.length === 10;
      },
      { everyMs: 1 },
    );
    expect(largest).toBeLessThanOrEqual(21);
    const opener = setInterval(() => provider.open(), 1);
    await stop();
    clearInterval(opener);
  });

  it('drains thousands of rows in large claims, the next under way while the last is sent', async () => {
    const rows = 5_000;
    const { actor, outbox, stop } = setUp(() => Promise.resolve(delivered), {
      credits: 1_000,
      outboxBatch: 500,
      maxInFlight: 100,
      outboxPollMs: 60_000,
    });
    for (let i = 0; i < rows; i += 1) outbox.put({ push: makePush(`${i}`), dueAtMs: Date.now() - 1 });
    let claims = 0;
    let withWorkLeft = 0;
    const claim = outbox.claim.bind(outbox);
    outbox.claim = async (service, limit) => {
      claims += 1;
      if (actor.status().waiting > 0) withWorkLeft += 1;
      await turns(2);
      return claim(service, limit);
    };
    actor.expectOutbox();
    actor.offer(makePush('go'));
    const startedAt = performance.now();
    await eventually(() => outbox.settled.length === rows);
    expect(rows / ((performance.now() - startedAt) / 1000)).toBeGreaterThan(2_000);
    expect(claims).toBeLessThan(40);
    expect(withWorkLeft).toBeGreaterThan(claims / 2);
    await stop();
  });

  it('holds no more bytes than it may, and drains large pushes without waiting for the next look', async () => {
    const large = (label: string): Push =>
      makePush(label, { content: { kind: 'unsealed', payload: Buffer.alloc(10_000) } });
    const provider = gate();
    const { actor, outbox, sent, stop } = setUp(provider.answer, {
      credits: 100,
      outboxBatch: 100,
      maxInFlight: 100,
      maxHeldBytes: 80_000,
      outboxPollMs: 60_000,
    });
    let taken = 0;
    while (actor.offer(large(`fresh ${taken}`))) taken += 1;
    expect(taken).toBe(8);
    for (let i = 0; i < 40; i += 1) outbox.put({ push: large(`row ${i}`), dueAtMs: Date.now() - 100 + i });
    actor.expectOutbox();
    expect(actor.offer(large('one too many'))).toBe(false);
    let most = 0;
    await eventually(
      async () => {
        await turns(3);
        most = Math.max(most, actor.status().held);
        provider.open();
        return outbox.settled.length === 40;
      },
      { everyMs: 1 },
    );
    expect(most).toBe(8);
    expect(sent).toHaveLength(48);
    await eventually(() => actor.offer(large('again')));
    const opener = setInterval(() => provider.open(), 1);
    await stop();
    clearInterval(opener);
  });

  it('looks again soon for what was put there while it looked', async () => {
    const { actor, outbox, sent, stop } = setUp(() => Promise.resolve(delivered), { outboxPollMs: 60_000 });
    const claim = outbox.claim.bind(outbox);
    let claims = 0;
    outbox.claim = async (service, limit) => {
      claims += 1;
      const rows = await claim(service, limit);
      if (claims > 1) return rows;
      outbox.put({ push: makePush('meanwhile'), dueAtMs: Date.now() });
      actor.expectOutbox();
      return rows;
    };
    actor.expectOutbox();
    actor.offer(makePush('first'));
    await eventually(() => sent.length === 2);
    expect(claims).toBeGreaterThan(1);
    await stop();
  });

  it('tells a source once what became of its push', async () => {
    const outcomes = new Map<string, Outcome>([
      [tokenOf('delivered'), delivered],
      [tokenOf('dead'), { kind: 'dead-token', reason: 'Unregistered', sinceMs: null }],
      [tokenOf('dropped'), { kind: 'dropped', reason: 'PayloadTooLarge' }],
      [tokenOf('stored'), later],
      [tokenOf('lost'), later],
    ]);
    const { actor, outbox, dead, stop } = setUp((push) =>
      Promise.resolve(outcomes.get(push.device.serviceId) ?? delivered),
    );
    outbox.holdsCommits = true;
    const answers: string[] = [];
    const offer = (label: string): boolean =>
      actor.offer(makePush(label), (fate) => answers.push(`${label} ${fate}`));
    for (const label of ['delivered', 'dead', 'dropped', 'stored']) offer(label);
    await eventually(() => outbox.uncommitted === 1);
    expect(answers.sort()).toEqual(['delivered delivered', 'dropped given-up']);
    dead[0]?.settle(true);
    await eventually(() => answers.includes('dead dead-token'));
    outbox.commit();
    await eventually(() => answers.includes('stored stored'));
    offer('lost');
    await eventually(() => outbox.uncommitted === 1);
    outbox.lose();
    await eventually(() => answers.includes('lost lost'));
    expect(answers).toHaveLength(5);
    await stop();
  });

  it('tells of a dead token when what held it is gone or kept, and holds neither credit nor row for it', async () => {
    const { actor, outbox, dead, stop } = setUp(
      () => Promise.resolve({ kind: 'dead-token', reason: 'Unregistered', sinceMs: 5 }),
      { credits: 2 },
    );
    const answers: string[] = [];
    for (const label of ['gone', 'kept'])
      actor.offer(makePush(label), (fate) => answers.push(`${label} ${fate}`));
    await eventually(() => dead.length === 2);
    expect(actor.status()).toMatchObject({ held: 0, inFlight: 0 });
    outbox.put({ push: makePush('row'), dueAtMs: Date.now() });
    actor.expectOutbox();
    await eventually(() => dead.length === 3);
    expect(outbox.rows.size).toBe(0);
    expect(answers).toEqual([]);
    expect(dead.map(({ sinceMs }) => sinceMs)).toEqual([5, 5, 5]);
    dead[0]?.settle(true);
    dead[1]?.settle(false);
    await eventually(() => answers.length === 2);
    expect(answers.sort()).toEqual(['gone dead-token', 'kept token-kept']);
    await stop();
  });

  it('goes on when a source fails to hear', async () => {
    const { actor, metrics, stop } = setUp(() => Promise.resolve(delivered));
    actor.offer(makePush('a'), () => {
      throw new Error('bug');
    });
    actor.offer(makePush('b'));
    await eventually(() => metrics.delivered.of('apns').value === 2);
    expect(actor.status()).toMatchObject({ held: 0, inFlight: 0 });
    expect(metrics.actorFailures.of('notifier').value).toBe(1);
    await stop();
  });
});

describe('a notifier actor with a journal', () => {
  const journal = { durability: 'journal' } as const;

  it('sends nothing before it is committed, and settles the row at the end', async () => {
    const { actor, outbox, sent, metrics, stop } = setUp(() => Promise.resolve(delivered), journal);
    outbox.holdsCommits = true;
    const answers: string[] = [];
    for (let i = 0; i < 3; i += 1) actor.offer(makePush(`${i}`), (fate) => answers.push(fate));
    await turns(5);
    expect(sent).toEqual([]);
    expect(actor.status().held).toBe(3);
    outbox.commit();
    await eventually(() => metrics.delivered.of('apns').value === 3);
    expect(sent.map(({ outboxId }) => outboxId)).toEqual(['1', '2', '3']);
    expect(outbox.settled).toHaveLength(3);
    expect(outbox.rows.size).toBe(0);
    expect(answers).toEqual(['stored', 'stored', 'stored']);
    await stop();
  });

  it('keeps the row of a push that must be repeated, with its attempts', async () => {
    const { actor, outbox, stop } = setUp(() => Promise.resolve(later), journal);
    actor.offer(makePush('a'));
    await eventually(() => actor.status().held === 0);
    expect([...outbox.rows.values()]).toMatchObject([
      { claimed: false, push: { attempts: 1, outboxId: '1' } },
    ]);
    await stop();
  });

  it('takes nothing that the outbox has no room for', async () => {
    const { actor, outbox, metrics, stop } = setUp(() => Promise.resolve(delivered), journal);
    outbox.isFull = true;
    let answers = 0;
    expect(actor.offer(makePush('a'), () => (answers += 1))).toBe(false);
    expect(actor.status().held).toBe(0);
    expect(metrics.pushesAccepted.total()).toBe(0);
    expect(answers).toBe(0);
    await stop();
  });

  it('counts what the database did not take in time as lost, tells the source, and has its credit again', async () => {
    const { actor, outbox, metrics, stop } = setUp(() => Promise.resolve(delivered), journal);
    outbox.holdsCommits = true;
    const answers: string[] = [];
    actor.offer(makePush('a'), (fate) => answers.push(fate));
    outbox.lose();
    expect(metrics.pushesLost.of('apns').value).toBe(1);
    expect(answers).toEqual(['lost']);
    expect(actor.status().held).toBe(0);
    await stop();
  });

  it('at the deadline of a stop waits for no database; what is committed later waits in the outbox', async () => {
    const { actor, outbox, sent, metrics, stop } = setUp(() => Promise.resolve(delivered), journal);
    outbox.holdsCommits = true;
    for (let i = 0; i < 3; i += 1) actor.offer(makePush(`${i}`));
    await stop(30);
    outbox.commit();
    await turns(2);
    outbox.commit();
    expect(sent).toEqual([]);
    expect(outbox.rows.size).toBe(3);
    expect([...outbox.rows.values()].every(({ claimed }) => !claimed)).toBe(true);
    expect(metrics.pushesLost.total()).toBe(0);
  });
});

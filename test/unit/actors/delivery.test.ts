import { describe, expect, it } from 'vitest';
import { createDelivery } from '../../../src/actors/delivery.js';
import type { NotifierActorOptions } from '../../../src/actors/notifier-contract.js';
import { createActorSystem } from '../../../src/actors/spawn.js';
import type { ServiceName } from '../../../src/domain/ids.js';
import type { Outcome } from '../../../src/domain/outcome.js';
import type { Push, PushFate } from '../../../src/domain/push.js';
import { ok } from '../../../src/domain/result.js';
import type { Notifier } from '../../../src/notifiers/port.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { AllTimeCounters, Statistics } from '../../../src/telemetry/statistics.js';
import { eventually } from '../../simulators/eventually.js';
import { MemoryOutbox } from '../../simulators/memory-outbox.js';
import { accountOf, bytesOf, tokenOf } from '../../simulators/subscriptions.js';

const FAULTY = 'apns' as ServiceName;
const SLOW = 'firebase' as ServiceName;
const clock = { nowMs: () => Date.now() };

const makePush = (service: ServiceName): Push => ({
  service,
  account: accountOf('a'),
  device: { serviceId: tokenOf('a'), serviceData: null },
  content: { kind: 'sealed', payload: bytesOf('a', 296) },
  priority: 'high',
  expiresAtMs: Date.now() + 120_000,
  dedupeKey: bytesOf('a', 16),
  receivedAtMs: Date.now(),
  attempts: 0,
  outboxId: null,
});

const notifierOf = (service: ServiceName, changes: Pick<Notifier, 'send' | 'close'>): Notifier => ({
  service,
  type: 'test',
  capabilities: {
    content: 'sealed',
    batchSize: 1,
    maxPayloadBytes: 2856,
    supportsExpiry: true,
    supportsPriority: true,
    maxInFlight: 4,
  },
  validate: () => ok({ serviceId: tokenOf('x'), serviceData: null }),
  health: () => ({ state: 'connected', detail: null }),
  ...changes,
});

function setUp(
  notifiers: readonly Notifier[],
  configured: readonly ServiceName[],
  changes: Partial<NotifierActorOptions> = {},
) {
  const metrics = new Metrics();
  const outbox = new MemoryOutbox(clock);
  const figures = { blockHash: '', blockHeight: 0, swarms: 0, nodes: 0 };
  const delivery = createDelivery(
    {
      system: createActorSystem({ log: silentLog(), metrics, clock }),
      notifiers: new Map(notifiers.map((notifier) => [notifier.service, notifier])),
      isKnown: (service) => configured.includes(service),
      outbox,
      reportDeadToken: () => Promise.resolve(true),
      statistics: new Statistics({
        counters: new AllTimeCounters([], () => undefined),
        metrics,
        services: configured,
        network: () => ({ ...figures, linksUp: 0, linksPending: 0, accountsMonitored: 0 }),
        subscriptions: () => new Map(),
        clock,
      }),
      clock,
      random: Math.random,
      log: silentLog(),
      metrics,
    },
    {
      actor: {
        credits: 10,
        outboxBatch: 5,
        outboxPollMs: 20,
        breakerFailures: 3,
        breakerProbeMs: 100,
        maxPauseMs: 60_000,
        ...changes,
      },
      retries: { baseMs: 1000, maxMs: 1000, maxAttempts: 3 },
    },
  );
  return { delivery, metrics, outbox };
}

describe('delivery', () => {
  it('drains every notifier to its end, also when one of them cannot close', async () => {
    let answer: (outcome: Outcome) => void = () => undefined;
    const notifiers = [
      notifierOf(FAULTY, {
        send: () => Promise.resolve({ kind: 'delivered' }),
        close: () => Promise.reject(new Error('cannot close')),
      }),
      notifierOf(SLOW, {
        send: () => new Promise((resolve) => (answer = resolve)),
        close: () => Promise.resolve(),
      }),
    ];
    const { delivery, metrics } = setUp(notifiers, [FAULTY, SLOW]);
    expect(delivery.offer(makePush(SLOW))).toBe(true);
    await eventually(() => delivery.actors.get(SLOW)?.status().inFlight === 1);
    let isDrained = false;
    const drained = delivery.drain(AbortSignal.timeout(5000)).finally(() => (isDrained = true));
    drained.catch(() => undefined);
    await eventually(() => delivery.actors.get(FAULTY)?.status().held === 0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(isDrained).toBe(false);
    answer({ kind: 'delivered' });
    await expect(drained).rejects.toThrow('cannot close');
    expect(metrics.delivered.of('firebase').value).toBe(1);
  });

  it('keeps pushes of a service that could not be started, and drops those of one that nobody configured', () => {
    const { delivery, metrics, outbox } = setUp([], [SLOW]);
    expect(delivery.offer(makePush(SLOW))).toBe(false);
    expect(delivery.spill(makePush(SLOW), () => undefined)).toBe(true);
    expect(outbox.rows.size).toBe(1);
    expect(delivery.offer(makePush(FAULTY))).toBe(true);
    expect(outbox.rows.size).toBe(1);
    expect(metrics.pushesLost.of('apns').value).toBe(1);
  });

  const later: Outcome = { kind: 'retry', reason: 'busy', cause: 'server', afterMs: 60_000, scope: 'push' };
  const answering = (outcome: Outcome): Notifier =>
    notifierOf(FAULTY, { send: () => Promise.resolve(outcome), close: () => Promise.resolve() });

  it.each<[string, Notifier[], (outbox: MemoryOutbox) => void, PushFate]>([
    ['is delivered', [answering({ kind: 'delivered' })], () => undefined, 'delivered'],
    [
      'has ended for good',
      [answering({ kind: 'dropped', reason: 'PayloadTooLarge' })],
      () => undefined,
      'given-up',
    ],
    [
      'has a dead token',
      [answering({ kind: 'dead-token', reason: 'Unregistered', sinceMs: null })],
      () => undefined,
      'dead-token',
    ],
    ['waits in the outbox for its repetition', [answering(later)], () => undefined, 'stored'],
    ['waits in the outbox for its notifier', [], () => undefined, 'stored'],
    ['finds no room anywhere', [], (outbox) => (outbox.isFull = true), 'lost'],
    ['cannot be committed', [], (outbox) => setImmediate(() => outbox.lose()), 'lost'],
  ])('tells a source once that its push %s', async (_what, notifiers, prepare, expected) => {
    const { delivery, outbox, metrics } = setUp(notifiers, [FAULTY]);
    outbox.holdsCommits = expected === 'lost';
    prepare(outbox);
    const answers: PushFate[] = [];
    delivery.deliver(makePush(FAULTY), (fate) => answers.push(fate));
    await eventually(() => answers.length > 0);
    await delivery.drain(AbortSignal.timeout(1000));
    expect(answers).toEqual([expected]);
    expect(metrics.pushesLost.of('apns').value).toBe(expected === 'lost' ? 1 : 0);
  });

  it('tells a source of a push that nobody would ever come for that it need not try again', () => {
    const { delivery, metrics } = setUp([], []);
    const answers: PushFate[] = [];
    delivery.deliver(makePush(FAULTY), (fate) => answers.push(fate));
    expect(answers).toEqual(['no-notifier']);
    expect(metrics.pushesLost.of('apns').value).toBe(1);
  });

  it('takes a notifier that comes later, once, and sends it what waited', async () => {
    const { delivery, outbox, metrics } = setUp([], [FAULTY]);
    delivery.spill(makePush(FAULTY), () => undefined);
    delivery.add(answering({ kind: 'delivered' }));
    const actor = delivery.actors.get(FAULTY);
    delivery.add(answering({ kind: 'dropped', reason: 'second' }));
    expect(delivery.actors.get(FAULTY)).toBe(actor);
    await eventually(() => metrics.delivered.of('apns').value === 1);
    expect(outbox.rows.size).toBe(0);
    await delivery.drain(AbortSignal.timeout(1000));
    delivery.add(notifierOf(SLOW, { send: () => Promise.resolve(later), close: () => Promise.resolve() }));
    expect(delivery.actors.size).toBe(1);
  });

  it('spills a push of a paused notifier with the end of the pause as its due time', async () => {
    const paused: Outcome = { ...later, cause: 'throttled', scope: 'notifier', afterMs: 5_000 };
    const { delivery, outbox } = setUp([answering(paused)], [FAULTY]);
    delivery.offer(makePush(FAULTY));
    await eventually(() => outbox.rows.size === 1);
    expect(delivery.offer(makePush(FAULTY))).toBe(false);
    expect(delivery.spill(makePush(FAULTY), () => undefined)).toBe(true);
    const until = delivery.actors.get(FAULTY)?.status().pausedUntilMs;
    expect([...outbox.rows.values()].map(({ dueAtMs }) => dueAtMs)).toContain(until);
    await delivery.drain(AbortSignal.timeout(1000));
  });

  it('sends a deferred push at its time, and not before', async () => {
    let sentAtMs = 0;
    const notifier = notifierOf(FAULTY, {
      send: () => {
        sentAtMs = Date.now();
        return Promise.resolve({ kind: 'delivered' });
      },
      close: () => Promise.resolve(),
    });
    // No look at the outbox but the one that is asked for.
    const { delivery, outbox } = setUp([notifier], [FAULTY], { outboxPollMs: 60_000 });
    await eventually(() => delivery.actors.get(FAULTY)?.status().held === 0);
    const dueAtMs = Date.now() + 200;
    const fates: PushFate[] = [];
    delivery.defer(makePush(FAULTY), dueAtMs, (fate) => fates.push(fate));
    expect(fates).toEqual([]);
    await eventually(() => fates.length > 0);
    expect(fates).toEqual(['stored']);
    expect([...outbox.rows.values()]).toMatchObject([{ dueAtMs }]);
    await eventually(() => sentAtMs > 0);
    expect(sentAtMs).toBeGreaterThanOrEqual(dueAtMs);
    expect(sentAtMs).toBeLessThan(dueAtMs + 150);
    await eventually(() => outbox.rows.size === 0);
    await delivery.drain(AbortSignal.timeout(1000));
  });

  it('sends deferred pushes by the hundred, each at its time', async () => {
    const lateMs: number[] = [];
    const notifier = notifierOf(FAULTY, {
      send: ({ receivedAtMs }) => {
        lateMs.push(Date.now() - receivedAtMs);
        return Promise.resolve({ kind: 'delivered' });
      },
      close: () => Promise.resolve(),
    });
    const { delivery, outbox } = setUp([notifier], [FAULTY], { outboxPollMs: 60_000 });
    for (let i = 0; i < 200; i += 1) {
      const dueAtMs = Date.now() + ((i * 37) % 400);
      delivery.defer({ ...makePush(FAULTY), receivedAtMs: dueAtMs }, dueAtMs, () => undefined);
    }
    await eventually(() => lateMs.length === 200);
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...lateMs)).toBeLessThan(300);
    await eventually(() => outbox.rows.size === 0);
    await delivery.drain(AbortSignal.timeout(1000));
  });

  it.each<[string, readonly ServiceName[], (outbox: MemoryOutbox) => void, number, PushFate]>([
    ['finds no room', [FAULTY], (outbox) => (outbox.isFull = true), 60_000, 'lost'],
    ['cannot be committed', [FAULTY], (outbox) => setImmediate(() => outbox.lose()), 60_000, 'lost'],
    ['is of no use at its time', [FAULTY], () => undefined, 50, 'expired'],
    ['is for a service that nobody knows', [], () => undefined, 60_000, 'no-notifier'],
  ])(
    'tells the source of a deferred push once that it %s',
    async (_what, known, prepare, ttlMs, expected) => {
      const { delivery, outbox, metrics } = setUp([], known);
      outbox.holdsCommits = true;
      prepare(outbox);
      const fates: PushFate[] = [];
      const push = { ...makePush(FAULTY), expiresAtMs: Date.now() + ttlMs };
      delivery.defer(push, Date.now() + 100, (fate) => fates.push(fate));
      await eventually(() => fates.length > 0);
      expect(fates).toEqual([expected]);
      expect(metrics.pushesLost.total() + metrics.pushesExpired.total()).toBe(1);
      expect(outbox.rows.size).toBe(0);
    },
  );

  it('defers a push of a paused notifier to the end of the pause', async () => {
    const paused: Outcome = { ...later, cause: 'throttled', scope: 'notifier', afterMs: 5_000 };
    const { delivery, outbox } = setUp([answering(paused)], [FAULTY]);
    delivery.offer(makePush(FAULTY));
    await eventually(() => outbox.rows.size === 1);
    const fates: PushFate[] = [];
    delivery.defer(makePush(FAULTY), Date.now() + 10, (fate) => fates.push(fate));
    await eventually(() => fates.length === 1);
    const until = delivery.actors.get(FAULTY)?.status().pausedUntilMs;
    expect([...outbox.rows.values()].filter(({ dueAtMs }) => dueAtMs === until)).not.toEqual([]);
    await delivery.drain(AbortSignal.timeout(1000));
  });
});

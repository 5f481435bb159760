import { afterEach, expect, test } from 'vitest';
import { createNotifierActor } from '../../src/actors/notifier.js';
import type { NotifierActorOptions } from '../../src/actors/notifier-contract.js';
import { createActorSystem } from '../../src/actors/spawn.js';
import { systemClock as clock } from '../../src/domain/clock.js';
import type { Push } from '../../src/domain/push.js';
import { fail } from '../../src/domain/result.js';
import { badInput } from '../../src/domain/errors.js';
import type { Notifier } from '../../src/notifiers/port.js';
import { defaultOutboxOptions, PostgresOutbox } from '../../src/outbox/postgres-outbox.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { describeWithDatabases, type DatabaseFixture } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { examplePush, serviceNamed } from '../simulators/store-examples.js';

const apns = serviceNamed('apns');
const ROWS = 3_000;
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const expiresAtMs = Date.now() + 600_000;
const pushOf = (label: string): Push => examplePush(label, { service: apns, expiresAtMs });

/** A notifier actor on the real outbox, before a provider that answers after a round trip of 10 ms. */
async function setUp(fixture: DatabaseFixture, changes: Partial<NotifierActorOptions> = {}) {
  const metrics = new Metrics();
  const database = await fixture.open();
  const options = { ...defaultOutboxOptions, database, clock, metrics, log: silentLog() };
  const outbox = new PostgresOutbox({ ...options, instanceId: 'one' });
  await outbox.start();
  closing.push(() => outbox.close());
  const sent = new Map<string, number>();
  const notifier: Notifier = {
    service: apns,
    type: 'test',
    capabilities: {
      content: 'sealed',
      maxPayloadBytes: 2856,
      batchSize: 1,
      supportsExpiry: true,
      supportsPriority: true,
      maxInFlight: 500,
    },
    validate: () => fail(badInput('not asked here')),
    send: (push) => {
      const key = push.dedupeKey.toString('hex');
      sent.set(key, (sent.get(key) ?? 0) + 1);
      return new Promise((resolve) => setTimeout(() => resolve({ kind: 'delivered' }), 10));
    },
    health: () => ({ state: 'connected', detail: null }),
    close: () => Promise.resolve(),
  };
  const system = createActorSystem({ log: silentLog(), metrics, clock });
  const actor = createNotifierActor(
    system,
    notifier,
    {
      credits: 4096,
      outboxBatch: 500,
      outboxPollMs: 1000,
      breakerFailures: 10,
      breakerProbeMs: 5000,
      maxPauseMs: 60_000,
      ...changes,
    },
    {
      outbox,
      nextAttempt: () => ({ kind: 'give-up', reason: 'attempts' }),
      onDeadToken: () => Promise.resolve(true),
      onDelivered: () => undefined,
      onGivenUp: () => undefined,
      clock,
      log: silentLog(),
      metrics,
    },
  );
  const stop = async (): Promise<void> => {
    await actor.drain(AbortSignal.timeout(5000));
    await outbox.flush(10_000);
    await system.stop();
  };
  const waiting = async (): Promise<number> => (await outbox.stats()).get(apns)?.waiting ?? 0;
  return { actor, outbox, sent, metrics, stop, waiting };
}

describeWithDatabases('a notifier actor on the outbox', (fixture) => {
  test('drains a backlog, each push once, while fresh pushes go on', async () => {
    const { actor, outbox, sent, metrics, stop, waiting } = await setUp(fixture, { outboxPollMs: 60_000 });
    for (let i = 0; i < ROWS; i += 1) {
      while (!outbox.put({ push: pushOf(`row ${i}`), dueAtMs: Date.now() })) await outbox.flush(30_000);
    }
    await outbox.flush(60_000);
    expect(await waiting()).toBe(ROWS);
    actor.expectOutbox();
    let fresh = 0;
    const source = setInterval(() => {
      for (let i = 0; i < 5; i += 1) if (actor.offer(pushOf(`fresh ${fresh}`))) fresh += 1;
    }, 10);
    await eventually(() => sent.size >= ROWS, { timeoutMs: 60_000 });
    clearInterval(source);
    await eventually(() => metrics.delivered.of('apns').value >= ROWS + fresh, { timeoutMs: 60_000 });
    await stop();
    expect(sent.size).toBe(ROWS + fresh);
    expect(Math.max(...sent.values())).toBe(1);
    expect(await waiting()).toBe(0);
  }, 90_000);

  test('with a journal sends each push once, and leaves no row behind', async () => {
    const { actor, sent, metrics, stop, waiting } = await setUp(fixture, { durability: 'journal' });
    let safe = 0;
    for (let i = 0; i < 1_000; i += 1) {
      const isLast = i === 999;
      const taken = actor.offer(
        pushOf(`${i}`),
        isLast ? (fate) => (safe += fate === 'stored' ? 1 : 0) : undefined,
      );
      expect(taken).toBe(true);
    }
    await eventually(() => metrics.delivered.of('apns').value === 1_000, { timeoutMs: 20_000 });
    await stop();
    expect(sent.size).toBe(1_000);
    expect(Math.max(...sent.values())).toBe(1);
    expect(safe).toBe(1);
    expect(await waiting()).toBe(0);
  }, 30_000);
});

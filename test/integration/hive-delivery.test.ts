import { describe, expect, it, onTestFinished } from 'vitest';
import { createDelivery } from '../../src/actors/delivery.js';
import { createActorSystem } from '../../src/actors/spawn.js';
import { systemClock } from '../../src/domain/clock.js';
import type { ServiceName } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import { createHive } from '../../src/hive/hive.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { AllTimeCounters, Statistics } from '../../src/telemetry/statistics.js';
import { eventually } from '../simulators/eventually.js';
import { MemoryOutbox } from '../simulators/memory-outbox.js';
import { notifierKeyPair, PythonNotifier } from '../simulators/python-notifier.js';
import { randomKeyPair } from '../simulators/storage-network/keys.js';
import { accountOf, bytesOf, tokenOf } from '../simulators/subscriptions.js';

const HUAWEI = 'huawei' as ServiceName;

const makePush = (number: number): Push => ({
  service: HUAWEI,
  account: accountOf('a'),
  device: { serviceId: tokenOf('a'), serviceData: null },
  content: { kind: 'unsealed', payload: Buffer.from(`d1:ni${number}ee`) },
  priority: 'high',
  expiresAtMs: Date.now() + 600_000,
  dedupeKey: bytesOf(`push ${number}`, 16),
  receivedAtMs: Date.now(),
  attempts: 0,
  outboxId: null,
});

/** The hive with the actors behind it, as the program puts them together; only the outbox has no database. */
async function setUp(known: readonly string[]) {
  const metrics = new Metrics();
  const log = silentLog();
  const outbox = new MemoryOutbox(systemClock);
  const keyPair = randomKeyPair();
  const figures = { blockHash: '', blockHeight: 0, swarms: 0, nodes: 0 };
  const statistics = new Statistics({
    counters: new AllTimeCounters([], () => undefined),
    metrics,
    services: [],
    network: () => ({ ...figures, linksUp: 0, linksPending: 0, accountsMonitored: 0 }),
    subscriptions: () => new Map(),
    clock: systemClock,
  });
  const delivery = createDelivery(
    {
      system: createActorSystem({ log, metrics, clock: systemClock }),
      notifiers: new Map(),
      isKnown: () => false,
      outbox,
      reportDeadToken: () => Promise.resolve(true),
      statistics,
      clock: systemClock,
      random: Math.random,
      log,
      metrics,
    },
    {
      actor: {
        credits: 200,
        outboxBatch: 50,
        outboxPollMs: 20,
        breakerFailures: 3,
        breakerProbeMs: 50,
        maxPauseMs: 60_000,
      },
      retries: { baseMs: 10, maxMs: 50, maxAttempts: 3 },
    },
  );
  const hive = createHive({
    options: { listen: 'tcp://127.0.0.1:0', awayRetryMs: 50, listener: { lingerMs: 0 } },
    keyPair,
    builtIn: () => false,
    onNotifier: (notifier) => delivery.add(notifier),
    statistics,
    store: { load: async () => known, add: async () => undefined },
    clock: systemClock,
    log,
    metrics,
  });
  onTestFinished(async () => {
    await delivery.drain(AbortSignal.timeout(100));
    await hive.close();
  });
  await hive.load();
  const doors = await hive.listen();
  const address = doors.ok ? (doors.value[0]?.address ?? '') : '';
  const start = (): PythonNotifier => {
    const notifier = new PythonNotifier({
      address,
      service: HUAWEI,
      keyPair: notifierKeyPair(keyPair.secretKey, HUAWEI),
      intervalMs: 50,
    });
    onTestFinished(() => notifier.kill());
    return notifier;
  };
  let made = 0;
  /** As the pipeline does it: to the actor, or else to the outbox. */
  const send = (count: number): void => {
    for (let number = 0; number < count; number += 1, made += 1) {
      const push = makePush(made);
      if (!delivery.offer(push)) expect(delivery.spill(push, () => undefined)).toBe(true);
    }
  };
  return { hive, outbox, metrics, start, send };
}

const numbersOf = (notifier: PythonNotifier): number[] =>
  notifier.dicts.map((dict) => dict.getInteger('n') ?? -1).sort((left, right) => left - right);

describe('pushes for an external notifier', () => {
  it('wait while it is away, without an attempt being counted, and are delivered once when it is back', async () => {
    const { hive, outbox, metrics, start, send } = await setUp([]);
    const first = start();
    await eventually(() => hive.notifier(HUAWEI)?.isPresent());
    send(100);
    await eventually(() => first.pushes.length === 100);
    first.kill();
    await eventually(async () => {
      const probe = await hive.notifier(HUAWEI)?.send(makePush(-1), new AbortController().signal);
      return probe?.kind === 'retry';
    });
    send(1000);
    await eventually(() => outbox.rows.size === 1000);
    // Longer than all of its attempts would last.
    await eventually(() => metrics.retried.of(HUAWEI).value > 5);
    expect(metrics.dropped.of(HUAWEI).value).toBe(0);

    const again = start();
    await eventually(() => again.pushes.length === 1000);
    await eventually(() => outbox.rows.size === 0);
    expect(numbersOf(again)).toEqual(Array.from({ length: 1000 }, (_, number) => 100 + number));
    expect(metrics.pushesLost.total() + metrics.dropped.total()).toBe(0);
  });

  it('wait for it from the start of the server on when an earlier run knew it', async () => {
    const { outbox, start, send } = await setUp([HUAWEI]);
    send(50);
    await eventually(() => outbox.rows.size === 50);
    const notifier = start();
    await eventually(() => notifier.pushes.length === 50);
    expect(numbersOf(notifier)).toEqual([...Array(50).keys()]);
  });
});

import { describe, expect, it } from 'vitest';
import { DeadTokenGuard } from '../../../src/delivery-rules/dead-token-guard.js';
import { createDeadTokenReporter, TokenHolders } from '../../../src/actors/dead-tokens.js';
import { createActorSystem } from '../../../src/actors/spawn.js';
import { createSubscriptionActors } from '../../../src/actors/subscription.js';
import type { ServiceId, ServiceName } from '../../../src/domain/ids.js';
import type { Push } from '../../../src/domain/push.js';
import { SubscriptionIndex } from '../../../src/subscription-index/subscription-index.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';
import { accountOf, bytesOf, tokenOf } from '../../simulators/subscriptions.js';

const APNS = 'apns' as ServiceName;
const MINIMUM = 3;

const pushTo = (label: string): Push => ({
  service: APNS,
  account: accountOf(label),
  device: { serviceId: tokenOf(label), serviceData: null },
  content: { kind: 'sealed', payload: bytesOf(label, 296) },
  priority: 'high',
  expiresAtMs: Date.now() + 60_000,
  dedupeKey: bytesOf(label, 16),
  receivedAtMs: Date.now(),
  attempts: 0,
  outboxId: null,
});

function setUp(
  answer: () => Promise<boolean>,
  accountsOf = (serviceId: string) => [accountOf(serviceId)],
  delay: () => Promise<void> = () => Promise.resolve(),
) {
  const clock = { nowMs: () => Date.now() };
  const metrics = new Metrics();
  const alarms: ServiceName[] = [];
  const state = { asked: 0, tried: 0 };
  const guard = new DeadTokenGuard(
    { percent: 0, minimum: MINIMUM, windowMs: 600_000 },
    clock,
    () => 0,
    (service) => alarms.push(service),
  );
  const subscriptions = createSubscriptionActors(createActorSystem({ log: silentLog(), metrics, clock }), {
    store: {
      upsert: () => Promise.resolve('added'),
      remove: () => Promise.resolve(false),
      removeIfNotRenewedSince: () => {
        state.tried += 1;
        return answer();
      },
      find: () => Promise.resolve(null),
    },
    index: new SubscriptionIndex(1),
    accountChanged: () => undefined,
    accountRemoved: () => undefined,
    clock,
    metrics,
  });
  const report = createDeadTokenReporter({
    holdersOf: async (service, serviceId) => {
      state.asked += 1;
      await delay();
      return accountsOf(serviceId).map((account) => ({
        tokenDied: (sinceMs) => subscriptions.tokenDied({ account, service, serviceId }, sinceMs),
      }));
    },
    guard,
    serverOf: ({ device }) => /^stranger \S+/.exec(device.serviceId)?.[0] ?? null,
    log: silentLog(),
    metrics,
  });
  return { report, state, alarms, subscriptions };
}

describe('holders of tokens', () => {
  it('are counted by themselves where their dead tokens are: a share of all would be all of the few', () => {
    const holders = new TokenHolders();
    const source = (devices: number) => ({ holdersOf: () => [], countOf: () => devices });
    holders.add(source(1_000_000));
    holders.add({ ...source(30_000), withoutProof: 'older clients' });
    holders.add({ ...source(100), withoutProof: 'clients of XMPP servers' });
    holders.add({ ...source(20), withoutProof: 'clients of XMPP servers' });
    expect(holders.countOf(APNS, null)).toBe(1_000_000);
    expect(holders.countOf(APNS, 'https://push.example')).toBe(1_000_000);
    expect(holders.countOf(APNS, 'older clients')).toBe(30_000);
    expect(holders.countOf(APNS, 'clients of XMPP servers')).toBe(120);
    const alarms: ServiceName[] = [];
    const guard = new DeadTokenGuard(
      { percent: 5, minimum: MINIMUM, windowMs: 600_000 },
      { nowMs: () => 0 },
      (service, server) => holders.countOf(service, server),
      (service) => alarms.push(service),
    );
    for (let i = 0; i < 120; i += 1) guard.allow(APNS, tokenOf(`${i}`), 'clients of XMPP servers');
    expect(alarms).toEqual([APNS]);
  });
});

describe('dead tokens', () => {
  it.each<[string, () => Promise<boolean>]>([
    ['have been renewed since', () => Promise.resolve(false)],
    ['cannot be removed because the store is away', () => Promise.reject(new Error('away'))],
  ])('that %s do not count as removed', async (_what, answer) => {
    const { report, state, alarms, subscriptions } = setUp(answer);
    for (let i = 1; i <= 5 * MINIMUM; i += 1) {
      void report(pushTo('the same'), Date.now());
      await eventually(() => state.tried === i && subscriptions.living === 0);
    }
    expect(alarms).toEqual([]);
  });

  it('are not looked up any more while the guard has stopped removals', async () => {
    const { report, state, alarms, subscriptions } = setUp(() => Promise.resolve(true));
    for (let i = 0; i <= MINIMUM; i += 1) void report(pushTo(`${i}`), Date.now());
    await eventually(() => alarms.length === 1 && subscriptions.living === 0);
    const before = state.asked;
    for (let i = 0; i < 100; i += 1) void report(pushTo(`later ${i}`), Date.now());
    expect(state.asked).toBe(before);
    expect(state.tried).toBe(MINIMUM);
  });

  it('of a server of a stranger stop its own removals, not those of others', async () => {
    const { report, state, alarms } = setUp(() => Promise.resolve(true));
    const ofStranger = (label: string): Push => {
      const serviceId = `stranger mallory ${label.padStart(32)}` as ServiceId;
      return { ...pushTo(label), device: { serviceId, serviceData: null } };
    };
    for (let i = 0; i < 10 * MINIMUM; i += 1) void report(ofStranger(`${i}`), Date.now());
    await eventually(() => alarms.length === 1);
    expect(state.tried).toBe(MINIMUM);
    for (let i = 0; i < MINIMUM; i += 1) void report(pushTo(`${i}`), Date.now());
    await eventually(() => state.tried === 2 * MINIMUM);
  });

  it('count once for each device, however many accounts it watches', async () => {
    const accountsOf = (serviceId: string) =>
      Array.from({ length: 250 }, (_, i) => accountOf(`${serviceId} ${i}`));
    const { report, state, alarms, subscriptions } = setUp(() => Promise.resolve(true), accountsOf);
    for (let i = 1; i <= MINIMUM; i += 1) {
      void report(pushTo(`${i}`), Date.now());
      await eventually(() => state.tried === 250 * i && subscriptions.living === 0);
    }
    expect(alarms).toEqual([]);
    void report(pushTo('one too many'), Date.now());
    await eventually(() => alarms.length === 1);
    expect(state.tried).toBe(250 * MINIMUM);
  });

  it('are looked up a few at a time, and those beyond what may wait are left to the next push', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let most = 0;
    let now = 0;
    const { report, state } = setUp(
      () => Promise.resolve(false),
      () => [],
      async () => {
        most = Math.max(most, (now += 1));
        await gate;
        now -= 1;
      },
    );
    for (let i = 0; i < 3000; i += 1) void report(pushTo(`${i}`), Date.now());
    await new Promise((resolve) => setImmediate(resolve));
    release();
    await eventually(() => now === 0 && state.asked > 1000);
    expect(most).toBe(8);
    expect(state.asked).toBe(1008);
  });

  it('that nobody subscribes to do not count', async () => {
    const { report, state, alarms } = setUp(
      () => Promise.resolve(true),
      () => [],
    );
    for (let i = 1; i <= 5 * MINIMUM; i += 1) {
      void report(pushTo(`${i}`), Date.now());
      await eventually(() => state.asked === i);
    }
    expect(alarms).toEqual([]);
  });

  it('count as a device even when only one of its accounts was removed', async () => {
    let calls = 0;
    const { report, state, alarms, subscriptions } = setUp(
      () => Promise.resolve((calls += 1) % 2 === 0),
      (serviceId) => [accountOf(`${serviceId} 1`), accountOf(`${serviceId} 2`)],
    );
    for (let i = 1; i <= MINIMUM; i += 1) {
      void report(pushTo(`${i}`), Date.now());
      await eventually(() => state.tried === 2 * i && subscriptions.living === 0);
    }
    void report(pushTo('one too many'), Date.now());
    await eventually(() => alarms.length === 1);
  });

  it('are gone when everything that held them is, or nobody did; kept as soon as one of them stays', async () => {
    const said = async (answers: readonly boolean[]): Promise<boolean> => {
      const left = [...answers];
      const { report } = setUp(
        () => Promise.resolve(left.shift() ?? false),
        () => answers.map((_, i) => accountOf(`${i}`)),
      );
      return report(pushTo('a'), Date.now());
    };
    expect(await said([])).toBe(true);
    expect(await said([true])).toBe(true);
    expect(await said([true, true, true])).toBe(true);
    expect(await said([false])).toBe(false);
    expect(await said([true, false, true])).toBe(false);
  });

  it('are kept while the store is away', async () => {
    const holding = setUp(() => Promise.reject(new Error('away')));
    expect(await holding.report(pushTo('a'), Date.now())).toBe(false);
    const asking = setUp(
      () => Promise.resolve(true),
      undefined,
      () => Promise.reject(new Error('away')),
    );
    expect(await asking.report(pushTo('a'), Date.now())).toBe(false);
  });

  it('are kept beyond what the guard allows, and for as long as it has stopped removals', async () => {
    const { report } = setUp(() => Promise.resolve(true));
    const said: boolean[] = [];
    for (let i = 0; i < MINIMUM + 3; i += 1) said.push(await report(pushTo(`${i}`), Date.now()));
    expect(said).toEqual([true, true, true, false, false, false]);
  });

  it('that are reported again meanwhile share one answer, up to a bound', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { report, state } = setUp(
      () => Promise.resolve(true),
      undefined,
      () => gate,
    );
    const answers = Array.from({ length: 10_005 }, () => report(pushTo('a'), Date.now()));
    const other = report(pushTo('b'), Date.now());
    expect(await Promise.race([...answers.slice(0, 10), Promise.resolve('open')])).toBe('open');
    expect(await Promise.all(answers.slice(-4))).toEqual([false, false, false, false]);
    release();
    expect((await Promise.all(answers)).filter((isGone) => isGone)).toHaveLength(10_001);
    expect(await other).toBe(true);
    expect(state.asked).toBe(2);
    // The bound is on those that wait now.
    const shared = [report(pushTo('c'), Date.now()), report(pushTo('c'), Date.now())];
    expect(await Promise.all(shared)).toEqual([true, true]);
    expect(state.asked).toBe(3);
  });

  it('beyond what may wait are kept at once', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { report } = setUp(
      () => Promise.resolve(true),
      () => [],
      () => gate,
    );
    const answers = Array.from({ length: 1010 }, (_, i) => report(pushTo(`${i}`), Date.now()));
    expect(await Promise.all(answers.slice(-2))).toEqual([false, false]);
    release();
    expect((await Promise.all(answers)).filter((isGone) => isGone)).toHaveLength(1008);
  });
});

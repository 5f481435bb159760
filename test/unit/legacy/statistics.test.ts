import { describe, expect, it } from 'vitest';
import { LegacyStatistics } from '../../../src/legacy/statistics.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { MemoryPeriods } from '../../simulators/memory-periods.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MIDNIGHT = Date.UTC(2026, 0, 10);
const zeros = {
  iosPushes: 0,
  androidPushes: 0,
  messages: 0,
  groupMessages: 0,
  untrackedMessages: 0,
  accountMessages: 0,
};

function setUp(nowMs = MIDNIGHT + 5 * HOUR) {
  const store = new MemoryPeriods();
  const clock = { now: nowMs, nowMs: () => clock.now };
  const metrics = new Metrics();
  const start = (periodMs = DAY) =>
    new LegacyStatistics({ brand: 'session', store, clock, metrics }, { periodMs, historyMs: 30 * DAY });
  return { store, clock, metrics, start, rows: () => store.of('session') };
}

describe('the statistics of a brand', () => {
  it('count every message once in the total and by its kind, Huawei with Android, and the metrics say the same', async () => {
    const { start, rows, clock, metrics } = setUp();
    const statistics = start();
    for (const kind of ['account', 'account', 'group', 'untracked', 'too-long'] as const)
      statistics.message(kind);
    for (const type of ['ios', 'android', 'huawei', 'huawei'] as const) statistics.push(type);
    await statistics.collect();
    expect(rows()).toEqual([
      {
        startMs: MIDNIGHT,
        endMs: clock.now,
        iosPushes: 1,
        androidPushes: 3,
        messages: 5,
        groupMessages: 1,
        untrackedMessages: 1,
        accountMessages: 2,
      },
    ]);
    const text = await metrics.registry.metrics();
    expect(text).toContain('waggle_legacy_messages_total{brand="session",kind="account"} 2');
    expect(text).toContain('waggle_legacy_messages_total{brand="session",kind="too-long"} 1');
    expect(text).toContain('waggle_legacy_pushes_total{brand="session",type="huawei"} 2');
  });

  it('whoever asks while they are written gets what was counted until then: at a stop nothing is left', async () => {
    const { start, rows } = setUp();
    const statistics = start();
    statistics.message('account');
    const first = statistics.collect();
    // By now the row is on its way.
    for (let turn = 0; turn < 20 && rows().length === 0; turn += 1) await Promise.resolve();
    statistics.message('account');
    await Promise.all([statistics.collect(), statistics.collect()]);
    expect(rows()).toMatchObject([{ messages: 2 }]);
    await first;
  });

  it('write a row of zeros when nothing happens, and nothing again until something does', async () => {
    const { start, rows, store } = setUp();
    const statistics = start();
    await statistics.collect();
    await statistics.collect();
    expect(rows()).toHaveLength(1);
    expect(store.writeCount).toBe(1);
  });

  it('go on after a restart within the period, whether it was loaded or not', async () => {
    const { start, rows, clock } = setUp();
    const first = start();
    first.message('account');
    await first.collect();
    clock.now += HOUR;
    const second = start();
    await second.load();
    second.message('group');
    await second.collect();
    const third = start();
    third.message('untracked');
    third.push('ios');
    await third.collect();
    expect(rows()).toEqual([
      {
        ...zeros,
        startMs: MIDNIGHT,
        endMs: clock.now,
        messages: 3,
        accountMessages: 1,
        groupMessages: 1,
        untrackedMessages: 1,
        iosPushes: 1,
      },
    ]);
  });

  it('begin a new period at midnight; the old row gets its end, even when nothing was counted any more', async () => {
    const { start, rows, clock } = setUp();
    const statistics = start();
    statistics.message('account');
    await statistics.collect();
    clock.now = MIDNIGHT + DAY;
    statistics.message('group');
    clock.now += HOUR;
    await statistics.collect();
    expect(rows()).toMatchObject([
      { startMs: MIDNIGHT, endMs: MIDNIGHT + DAY, messages: 1, accountMessages: 1 },
      { startMs: MIDNIGHT + DAY, endMs: clock.now, messages: 1, groupMessages: 1 },
    ]);
    clock.now += DAY;
    await statistics.collect();
    expect(rows()).toMatchObject([{}, { endMs: MIDNIGHT + 2 * DAY }, { messages: 0 }]);
  });

  it('lose nothing while the database is away, over the end of a period', async () => {
    const { start, rows, clock, store } = setUp();
    store.isAway = true;
    const statistics = start();
    await expect(statistics.load()).rejects.toThrow();
    statistics.message('account');
    await expect(statistics.collect()).rejects.toThrow();
    clock.now += DAY;
    statistics.message('account');
    statistics.message('group');
    await expect(statistics.collect()).rejects.toThrow();
    store.isAway = false;
    await statistics.collect();
    expect(rows()).toMatchObject([
      { startMs: MIDNIGHT, endMs: MIDNIGHT + DAY, messages: 1 },
      { startMs: MIDNIGHT + DAY, messages: 2 },
    ]);
  });

  it('write the next time what is counted during a write, also when the period ends during it', async () => {
    const { start, rows, clock, store } = setUp();
    const statistics = start();
    statistics.message('account');
    let isFirst = true;
    store.meanwhile = () => {
      statistics.message('account');
      if (!isFirst) return;
      isFirst = false;
    };
    await statistics.collect();
    store.meanwhile = () => {
      clock.now = MIDNIGHT + DAY + 1;
      statistics.message('group');
    };
    await statistics.collect();
    store.meanwhile = () => undefined;
    await statistics.collect();
    expect(rows()).toHaveLength(2);
    const [old, present] = rows();
    expect(old?.endMs).toBe(MIDNIGHT + DAY);
    const { messages, accountMessages } = old ?? zeros;
    expect(messages).toBe(accountMessages);
    // One before, and one while it loaded, wrote, and dropped what is old.
    expect(accountMessages).toBe(4);
    expect(present?.groupMessages).toBe(present?.messages);
    expect(present?.groupMessages).toBeGreaterThan(0);
  });

  it('are collected once when several ask at once', async () => {
    const { start, store } = setUp();
    const statistics = start();
    statistics.message('account');
    await Promise.all([statistics.collect(), statistics.collect(), statistics.collect()]);
    expect(store.writeCount).toBe(1);
  });

  it('go back to the right period when the clock was wrong', async () => {
    const { start, rows, clock } = setUp();
    const statistics = start();
    statistics.message('account');
    const right = clock.now;
    clock.now += 10 * DAY;
    statistics.message('account');
    await statistics.collect();
    clock.now = right + 1;
    statistics.message('account');
    await statistics.collect();
    expect(rows().find(({ startMs }) => startMs === MIDNIGHT)).toMatchObject({ messages: 2 });
  });

  it('drop what is older than the history, once in each period', async () => {
    const { start, rows, clock, store } = setUp();
    await store.write('session', { ...zeros, startMs: MIDNIGHT - 40 * DAY, endMs: MIDNIGHT - 39 * DAY });
    await store.write('session', { ...zeros, startMs: MIDNIGHT - 29 * DAY, endMs: MIDNIGHT - 28 * DAY });
    const statistics = start();
    await statistics.collect();
    expect(rows().map(({ startMs }) => startMs)).toEqual([MIDNIGHT - 29 * DAY, MIDNIGHT]);
    clock.now += 3 * DAY;
    await statistics.collect();
    expect(rows().map(({ startMs }) => startMs)).toEqual([MIDNIGHT, MIDNIGHT + 3 * DAY]);
  });

  it('take up their own row though others begin in the same time', async () => {
    const { start, rows, clock, store } = setUp();
    await store.write('session', { ...zeros, startMs: MIDNIGHT, endMs: MIDNIGHT + HOUR, messages: 7 });
    await store.write('session', {
      ...zeros,
      startMs: MIDNIGHT + 2 * HOUR,
      endMs: MIDNIGHT + 3 * HOUR,
      messages: 9,
    });
    const statistics = start();
    statistics.message('untracked');
    await statistics.collect();
    expect(rows()).toMatchObject([{ messages: 8, endMs: clock.now }, { messages: 9 }]);
  });
});

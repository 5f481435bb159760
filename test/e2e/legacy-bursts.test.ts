import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { newData, startLegacyWorld, type LegacyWorld } from '../simulators/legacy-world.js';
import { ServerProcess } from '../simulators/server-process.js';
import { newAndroid, newIphone, pushesMade, register, success, sumOf } from './legacy-support.js';
import { countByToken, inParallel } from './support.js';

const DEVICES = 2000;
const WIDTH = 100;
const BURST = 25;
const PER_SECOND = 10;

describe('bursts of older clients', () => {
  let world: LegacyWorld;
  let server: ServerProcess;

  beforeAll(async () => {
    world = await startLegacyWorld({
      config: {
        legacy: {
          maxMembersPerGroup: DEVICES,
          notifyBurst: BURST,
          notifyPerRecipientPerMinute: PER_SECOND * 60,
        },
      },
    });
    server = await ServerProcess.start(world.configFile);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  it('2,000 Android phones are woken by one notify to their group, and by one for each, bad ones among them', async () => {
    const side = world.bchat;
    const client = await side.client(server);
    const group = side.newId();
    const phones = Array.from({ length: DEVICES }, () => newAndroid(side));
    // As Bchat's Android registers: with its groups.
    await inParallel(phones, WIDTH, async ({ token, account }) =>
      expect(await client.registerGroupsOnly(token, account, 'android', [group])).toEqual(success),
    );
    const once = new Map(phones.map(({ token }) => [token, 1]));
    const data = newData();
    expect(await client.notify(group, data)).toEqual(success);
    await eventually(() => side.fcm.pushes.length >= DEVICES, { timeoutMs: 20_000, what: 'a push to each' });
    expect(countByToken(side.fcm.pushes)).toEqual(once);
    expect(new Set(side.arrivals().map((push) => push.data))).toEqual(new Set([data]));

    // Made before, so that they come as fast as the wire takes them.
    const own = new Map(phones.map(({ token }) => [token, newData(60)]));
    const calls = phones.map(({ token, account }) =>
      client.frame('notify', { send_to: account, data: own.get(token) }),
    );
    const [victim] = phones;
    if (victim === undefined) throw new Error('there are 2,000');
    const poison = [
      { send_to: victim.account, data: 17 },
      { send_to: [victim.account], data: 'MQ==' },
      { send_to: victim.account, data: { a: 'MQ==' } },
      { send_to: group, data: ['MQ=='] },
      { send_to: { a: 1 }, data: 'MQ==' },
      { data: 'MQ==' },
      { send_to: `${victim.account}\0`, data: 'MQ==' },
    ].map((args) => client.frame('notify', args));
    const poisoned = calls.flatMap((call, index) => {
      const bad = index % 100 === 50 ? poison[(index / 50) % poison.length] : undefined;
      return bad === undefined ? [call] : [bad, call];
    });
    const good = new Set(calls);
    await inParallel(poisoned, WIDTH, async (call) => {
      const answer = await client.send(call);
      if (good.has(call)) expect(answer).toEqual(success);
      else expect(answer).toMatchObject({ status: 400, body: { code: 0 } });
    });
    await eventually(() => side.fcm.pushes.length >= 2 * DEVICES, {
      timeoutMs: 20_000,
      what: 'each own push',
    });
    expect(side.fcm.pushes).toHaveLength(2 * DEVICES);
    const second = new Map(
      side
        .arrivals()
        .slice(DEVICES)
        .map((push) => [push.token, push.data]),
    );
    expect(second).toEqual(own);
    expect(await pushesMade(server, side)).toBe(2 * DEVICES);
    expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
    expect(side.fcm.refusals).toEqual([]);
  });

  it('a flood to one phone gives it a burst and then so many a second, its last word, and nobody else waits', async () => {
    const side = world.session;
    const client = await side.client(server, { version: 'v4' });
    const victim = newIphone(side);
    const others = Array.from({ length: 20 }, () => newIphone(side));
    for (const phone of [victim, ...others]) expect(await register(client, phone)).toEqual(success);
    const arrivedAtMs = new Map<string, number[]>();
    side.apns.onAccepted = ({ token }) => {
      const times = arrivedAtMs.get(token) ?? [];
      arrivedAtMs.set(token, [...times, performance.now()]);
    };
    const beganAtMs = performance.now();
    const seconds = (): number => (performance.now() - beganAtMs) / 1000;

    // Until everybody else was heard of, and long enough for the rate to show.
    let sent = 0;
    let isFlowing = true;
    const flood = Promise.all(
      Array.from({ length: 32 }, async () => {
        while (isFlowing) {
          sent += 1;
          expect(await client.notify(victim.account, `flood ${sent}`)).toEqual(success);
        }
      }),
    );
    const slowestMs: number[] = [];
    for (const { account, token } of others) {
      await eventually(() => sent > 200);
      const askedAtMs = performance.now();
      expect(await client.notify(account, 'in the middle of it')).toEqual(success);
      await eventually(() => arrivedAtMs.has(token), { everyMs: 1, what: 'the push to another phone' });
      slowestMs.push(performance.now() - askedAtMs);
    }
    await eventually(() => sent >= 3000 && seconds() > 2, { timeoutMs: 25_000, what: 'a flood' });
    isFlowing = false;
    await flood;
    const floodSeconds = seconds();
    expect(await client.notify(victim.account, 'the last word')).toEqual(success);
    await eventually(() => side.received(victim.token).includes('the last word'));

    const received = side.received(victim.token);
    expect(received.length).toBeGreaterThanOrEqual(BURST);
    expect(received.length).toBeLessThanOrEqual(BURST + PER_SECOND * seconds() + 2);
    // It is not kept in the dark either.
    expect(received.length).toBeGreaterThan(BURST + (PER_SECOND * floodSeconds) / 3);
    expect(received.at(-1)).toBe('the last word');
    slowestMs.sort((a, b) => a - b);
    console.log(
      `flood: ${sent} in ${floodSeconds.toFixed(1)} s, ${received.length} arrived; others ${slowestMs.map(Math.round).join(' ')} ms`,
    );
    expect(slowestMs[10]).toBeLessThan(1000);
    for (const { token } of others) expect(side.received(token)).toEqual(['in the middle of it']);

    const limited = (result: string): Promise<number> =>
      sumOf(server, `waggle_legacy_limited_total{brand="session",result="${result}"`);
    expect(await limited('refused')).toBe(0);
    expect((await limited('superseded')) + received.length).toBe(sent + 1);
    expect(await sumOf(server, 'waggle_legacy_messages_total{brand="session",kind="account"')).toBe(
      received.length + others.length,
    );
  });

  it('a flood to a group leaves what is sent to its members alone', async () => {
    const side = world.session;
    const client = await side.client(server);
    const phone = newAndroid(side);
    const group = side.newId();
    expect(await register(client, phone)).toEqual(success);
    expect(await client.subscribeGroup(group, phone.account)).toEqual(success);
    const texts = Array.from({ length: 4 * BURST }, (_, index) => `to the group ${index}`);
    await Promise.all(texts.map(async (text) => expect(await client.notify(group, text)).toEqual(success)));
    expect(await client.notify(group, 'the last word')).toEqual(success);
    expect(await client.notify(phone.account, 'to you')).toEqual(success);
    for (const text of ['to you', 'the last word'])
      await eventually(() => side.received(phone.token).includes(text), { what: text });
    expect(side.received(phone.token).length).toBeLessThan(4 * BURST);
  });
});

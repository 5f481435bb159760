import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { LegacyClient } from '../simulators/legacy-client.js';
import {
  newAndroidToken,
  newData,
  newHuaweiToken,
  startLegacyWorld,
  type LegacySide,
  type LegacyWorld,
} from '../simulators/legacy-world.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import { hmsAnswer } from '../simulators/providers/hms-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import {
  newIphone,
  pushesMade,
  register,
  soon,
  success,
  sumOf,
  waggle,
  type Phone,
} from './legacy-support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const devices = (server: ServerProcess, { brand }: LegacySide): Promise<number> =>
  server.metric(`waggle_legacy_devices{brand="${brand.name}"}`);

/** Longer than Apple takes, and not too long for the original. */
const OVERSIZE_CHARACTERS = 10_240;

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: LegacyWorld;
  let server: ServerProcess;

  beforeAll(async () => {
    const url = await databaseUrl();
    world = await startLegacyWorld({ config: { ...soon }, ...(url === null ? {} : { databaseUrl: url }) });
    server = await ServerProcess.start(world.configFile);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  const ask = (...argv: string[]) => waggle(world.configFile, server, ...argv);

  async function registered(side: LegacySide, client: LegacyClient): Promise<Phone> {
    const phone = newIphone(side);
    expect(await register(client, phone)).toEqual(success);
    return phone;
  }

  /** What a provider of each kind says of a device that is no more; null: of one that is. */
  function sayDead(side: LegacySide, tokens: Tokens, isDead: boolean): void {
    const gone = { status: 410, body: { reason: 'Unregistered', timestamp: Date.now() + 60_000 } };
    side.apns.answers.forToken(tokens.ios, isDead ? gone : null);
    side.fcm.answers.forToken(tokens.android, isDead ? fcmError(404, 'NOT_FOUND', 'UNREGISTERED') : null);
    side.hms.forToken(tokens.huawei, isDead ? hmsAnswer('80300007') : null);
  }

  interface Tokens {
    readonly ios: string;
    readonly android: string;
    readonly huawei: string;
  }

  it('a dead device goes at once, and the operator brings it back into the running server', async () => {
    const { bchat } = world;
    const client = await bchat.client(server);
    const account = bchat.newId();
    const tokens = { ios: newIphone(bchat).token, android: newAndroidToken(), huawei: newHuaweiToken() };
    for (const [type, token] of Object.entries(tokens))
      expect(await client.register(token, account, type)).toEqual(success);
    const alive = await registered(bchat, client);
    sayDead(bchat, tokens, true);
    expect(await client.notify(account, newData())).toEqual(success);
    await eventually(async () => (await devices(server, bchat)) === 1, { what: 'the removal of all three' });

    // The first 410 was enough.
    const requests = [bchat.apns.requests, bchat.fcm.requests, bchat.hms.http.requests];
    const made = await pushesMade(server, bchat);
    expect(await client.notify(account, newData())).toEqual(success);
    expect(await pushesMade(server, bchat)).toBe(made);
    expect(await client.notify(alive.account, 'MQ==')).toEqual(success);
    await eventually(() => bchat.received(alive.token).length === 1);
    expect([bchat.apns.requests - 1, bchat.fcm.requests, bchat.hms.http.requests]).toEqual(requests);

    sayDead(bchat, tokens, false);
    const [deleted, dryRun] = await Promise.all([
      ask('devices', 'deleted'),
      ask('devices', 'undelete', '--service', 'bchat-apns', '--dry-run'),
    ]);
    expect(deleted.code).toBe(0);
    expect(deleted.said.split('\n').sort()).toEqual([
      'bchat-apns 1 devices of older clients (bchat)',
      'bchat-firebase 1 devices of older clients (bchat)',
      'bchat-huawei 1 devices of older clients (bchat)',
    ]);
    expect(dryRun).toEqual({
      code: 0,
      said: 'would restore 0 subscriptions\nwould restore 1 devices of older clients',
    });
    expect(await devices(server, bchat)).toBe(1);

    // Who registers anew is not brought back, for he is there.
    expect(await client.register(tokens.huawei, account, 'huawei')).toEqual(success);
    expect(await ask('devices', 'undelete')).toEqual({
      code: 0,
      said: 'restored 0 subscriptions\nrestored 2 devices of older clients',
    });
    expect(await devices(server, bchat)).toBe(4);
    const welcome = newData();
    expect(await client.notify(account, welcome)).toEqual(success);
    const all = Object.values(tokens);
    await eventually(() => all.every((token) => bchat.received(token).length === 1), {
      what: 'a push to each',
    });
    expect(all.map((token) => bchat.received(token))).toEqual([[welcome], [welcome], [welcome]]);
  });

  it('what is too large, or refused for other reasons, costs nobody his device', async () => {
    const { session } = world;
    const client = await session.client(server);
    const phone = await registered(session, client);
    const refused = await registered(session, client);
    const { accepted } = session.apns;
    const oversize = 'QUJD'.repeat(OVERSIZE_CHARACTERS / 4);
    for (let times = 0; times < 5; times += 1)
      expect(await client.notify(phone.account, oversize)).toEqual(success);
    await eventually(() => session.apns.accepted === accepted + 5);
    // The generic text, instead of nothing.
    expect(session.received(phone.token)).toEqual([null, null, null, null, null]);
    const made = await pushesMade(server, session);
    expect(await client.notify(phone.account, `${oversize}A`)).toEqual(success);
    expect(await pushesMade(server, session)).toBe(made);

    session.apns.answers.forToken(refused.token, { status: 413, body: { reason: 'PayloadTooLarge' } });
    const before = session.apns.requests;
    const dropped = (): Promise<number> => sumOf(server, 'waggle_pushes_dropped_total{');
    const droppedBefore = await dropped();
    for (let times = 0; times < 5; times += 1)
      expect(await client.notify(refused.account, newData())).toEqual(success);
    // Once the answers are here, not only the requests there: the stand-in answers differently from now on.
    await eventually(async () => (await dropped()) === droppedBefore + 5);
    session.apns.answers.forToken(refused.token, { status: 429, body: { reason: 'TooManyRequests' } });
    for (let times = 0; times < 5; times += 1)
      expect(await client.notify(refused.account, `late ${times}`)).toEqual(success);
    await eventually(() => session.apns.requests >= before + 10);
    session.apns.answers.forToken(refused.token, null);
    const late = ['late 0', 'late 1', 'late 2', 'late 3', 'late 4'];
    await eventually(() => session.received(refused.token).length >= late.length, {
      what: 'what was held back',
    });
    expect(session.received(refused.token).sort()).toEqual(late);
    expect(await devices(server, session)).toBe(2);
  });

  it('tokens that somebody made up vanish at their first push', async () => {
    const { session } = world;
    const client = await session.client(server);
    const account = session.newId();
    const own = newIphone(session);
    expect(await client.register(own.token, account)).toEqual(success);
    const before = await devices(server, session);
    const made = ['../x', 'no hex, and not 64 long', 'zz'.repeat(32), `${own.token.slice(2)}\u{e9}`];
    for (const token of made) expect(await client.register(token, account, 'ios')).toEqual(success);
    expect(await devices(server, session)).toBe(before + made.length);
    expect(await client.notify(account, 'MQ==')).toEqual(success);
    await eventually(async () => (await devices(server, session)) === before, { what: 'their removal' });
    await eventually(() => session.received(own.token).length === 1);
    expect(await client.notify(account, 'Mg==')).toEqual(success);
    await eventually(() => session.received(own.token).length === 2);
    expect(session.received(own.token)).toEqual(['MQ==', 'Mg==']);
    expect(session.apns.refusals).toEqual([]);
  });
}

describe('dead devices of older clients (embedded)', () => suite(() => Promise.resolve(null)));
describeWithPostgres('dead devices of older clients', (postgres) => suite(() => postgres().createDatabase()));

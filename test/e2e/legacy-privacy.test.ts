import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { LegacyAnswer } from '../simulators/legacy-client.js';
import {
  newAndroidToken,
  newData,
  newHuaweiToken,
  startLegacyWorld,
  type LegacySide,
  type LegacyWorld,
} from '../simulators/legacy-world.js';
import type { TestPostgres } from '../simulators/postgres.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import { hmsAnswer } from '../simulators/providers/hms-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import { newIphone, register, soon, success, type Phone } from './legacy-support.js';
import { Secrets } from './secrets.js';
import { withDatabase } from './support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

interface Settings {
  readonly notifiers: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

function suite(postgres: (() => TestPostgres) | null): void {
  let world: LegacyWorld;
  let server: ServerProcess;
  let databaseUrl: string | null = null;
  const secrets = new Secrets();

  beforeAll(async () => {
    databaseUrl = postgres === null ? null : await postgres().createDatabase();
    world = await startLegacyWorld({
      ...(databaseUrl === null ? {} : { databaseUrl }),
      config: {
        ...soon,
        delivery: { ...soon.delivery, maxAttempts: 5, retryBaseMs: 50 },
        log: { level: 'trace' },
        legacy: { notifyBurst: 20, notifyPerRecipientPerMinute: 600, writePatienceMs: 300 },
        shutdown: { drainSeconds: 1 },
      },
    });
    server = await ServerProcess.start(world.configFile);
    for (const name of ['server', 'onion']) {
      const key = await readKeyFile(join(world.directory, `keys/${name}.x25519`));
      if (!key.ok) throw new Error('the server makes its keys at its first start');
      secrets.bytes(`${name} key`, key.value.secretKey);
    }
    const { notifiers } = parse(await readFile(world.configFile, 'utf8')) as Settings;
    for (const service of ['huawei', 'bchat-huawei'])
      secrets.text('app secret', notifiers[service]?.['appSecret'] ?? '');
    for (const { brand } of world.sides) secrets.text('statistics password', brand.statisticsPassword ?? '');
    const p8 = await readFile(notifiers['bchat-apns']?.['keyFile'] ?? '', 'utf8');
    secrets.text('APNs key', p8.split('\n')[1] ?? '');
    const firebase = JSON.parse(
      await readFile(notifiers['bchat-firebase']?.['serviceAccountFile'] ?? '', 'utf8'),
    ) as { readonly private_key: string };
    secrets.text('Firebase key', firebase.private_key.split('\n')[2] ?? '');
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  function id(side: LegacySide): string {
    const made = side.newId();
    secrets.bytes('id', Buffer.from(made, 'hex'));
    return made;
  }

  function token(made: string): string {
    secrets.text('token', made);
    if (/^[0-9a-f]+$/.test(made)) secrets.bytes('token', Buffer.from(made, 'hex'));
    return made;
  }

  function iphone(side: LegacySide): Phone {
    return { account: id(side), token: token(newIphone(side).token) };
  }

  function data(bytes?: number): string {
    const made = newData(bytes);
    secrets.text('data', made);
    secrets.bytes('data', Buffer.from(made, 'base64').subarray(0, 100));
    return made;
  }

  const statistics = (password: string): Promise<string> =>
    fetch(`${server.httpAddress}/get_statistics_data`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`x:${password}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: '{}',
    }).then((answer) => answer.text());

  const askAdmin = async (path: string): Promise<string> => (await fetch(server.adminAddress + path)).text();

  async function exercise(side: LegacySide): Promise<void> {
    const clients = await Promise.all([
      side.client(server),
      side.client(server, { version: 'v2', platform: 'ios' }),
      side.client(server, { version: 'v4' }),
    ]);
    const [client, ios, v4] = clients;
    const [phone, dead, doomed] = [iphone(side), iphone(side), iphone(side)];
    const [android, huawei] = [token(newAndroidToken()), token(newHuaweiToken())];
    const group = id(side);
    for (const one of [phone, dead, doomed, phone]) expect(await register(ios, one)).toEqual(success);
    expect(await client.registerGroupsOnly(android, phone.account, 'android', [group])).toEqual(success);
    expect(await v4.register(huawei, phone.account, 'huawei')).toEqual(success);
    expect(await v4.subscribeGroup(group, dead.account)).toEqual(success);
    for (const to of [phone.account, group, id(side)])
      expect(await client.notify(to, data())).toEqual(success);

    // What is wrong, with secrets where the words should be.
    const answers: LegacyAnswer[] = [];
    for (const one of clients)
      for (const [method, args] of [
        ['register', { token: phone.token, pubKey: phone.account, device: dead.token }],
        ['register', { token: [phone.token], pubKey: { a: phone.account } }],
        ['register', { token: phone.token.repeat(20), pubKey: phone.account }],
        ['register', { token: `${phone.token}\0`, pubKey: phone.account }],
        ['register_legacy_groups_only', { token: android, pubKey: phone.account, legacyGroupPublicKeys: 7 }],
        ['subscribe_closed_group', { closedGroupPublicKey: group.repeat(10), pubKey: phone.account }],
        ['unregister', { token: token(newAndroidToken()) }],
        ['unsubscribe_closed_group', { closedGroupPublicKey: id(side), pubKey: phone.account }],
        ['notify', { send_to: phone.account, data: { data: data() } }],
        ['notify', { send_to: [phone.account], data: data() }],
        ['notify', { send_to: phone.account, data: data(9000) }],
        ['notify', { send_to: phone.account, data: data(6000) }],
      ] as const)
        answers.push(await one.call(method, args));
    expect(answers.some(({ status }) => status === 400)).toBe(true);
    expect(await client.call(phone.token, { token: phone.token })).toMatchObject({ status: 400 });
    // On version 4 an unknown method is an unknown path, with no reply of a method.
    await expect(v4.call(phone.token, {})).rejects.toThrow();
    for (const one of clients) {
      const call = one.frame('notify', { send_to: phone.account, data: data() });
      const inner = one.frameOfText(Buffer.from(`{"endpoint":"notify","body":"${phone.token}`));
      for (const frame of [
        call.frame.subarray(0, -7),
        call.frame.subarray(9),
        Buffer.from(phone.token),
        inner.frame,
      ])
        await (
          await fetch(server.httpAddress + call.path, { method: 'POST', body: new Uint8Array(frame) })
        ).text();
    }
    await (await fetch(`${server.httpAddress}/register?token=${phone.token}&pubKey=${phone.account}`)).text();
    await (await fetch(`${server.httpAddress}/loki/${phone.account}/lsrpc`, { method: 'POST' })).text();

    // Made up, dead, and all that a provider can say.
    const madeUp = token(`made up ${randomBytes(16).toString('hex')}`);
    expect(await client.register(madeUp, doomed.account, 'ios')).toEqual(success);
    side.apns.answers.forToken(dead.token, {
      status: 410,
      body: { reason: 'Unregistered', timestamp: Date.now() + 60_000 },
    });
    for (const to of [dead.account, doomed.account]) expect(await client.notify(to, data())).toEqual(success);
    const deaths = `waggle_pushes_dead_token_total{notifier="${side.brand.services.apns}"}`;
    await eventually(async () => (await server.metric(deaths)) === 2, { what: 'both deaths' });
    const troubles = [
      { status: 400, body: { reason: phone.token } },
      { status: 400, body: `{"reason":"${phone.token}` },
      { status: 500, body: { reason: phone.account } },
      { status: 418, body: phone.token },
      { instead: 'reset' },
      { instead: 'goaway' },
    ] as const;
    side.hms.forToken(huawei, hmsAnswer('80300002', huawei));
    for (const trouble of troubles) {
      const before = [side.apns.requests, side.fcm.requests];
      side.apns.answers.next(trouble);
      side.fcm.answers.next(fcmError(400, 'INVALID_ARGUMENT', null, { message: android }));
      expect(await client.notify(group, data())).toEqual(success);
      expect(await client.notify(phone.account, data())).toEqual(success);
      await eventually(() => side.apns.requests > (before[0] ?? 0) && side.fcm.requests > (before[1] ?? 0));
    }
    // More than one may get.
    await Promise.all(Array.from({ length: 60 }, () => client.notify(doomed.account, data())));
  }

  it('says nothing about anybody, whatever happens', async () => {
    for (const side of world.sides) await exercise(side);
    const { session, bchat } = world;
    const client = await session.client(server);
    const wrongPassword = `wrong-${randomBytes(16).toString('hex')}`;
    secrets.text('a wrong password', wrongPassword);
    await statistics(wrongPassword);
    const numbers = await statistics(session.brand.statisticsPassword ?? '');
    expect(numbers).toContain('"code":0');

    // The database refuses a row and quotes it; then it is away.
    if (postgres !== null) {
      const alter = (sql: string): Promise<void> =>
        withDatabase({ url: databaseUrl, dataDir: '' }, (database) =>
          database.transaction((transaction) => transaction.script(sql)),
        );
      for (const table of ['legacy_devices', 'legacy_members'])
        await alter(`ALTER TABLE ${table} ADD CONSTRAINT no_more CHECK (brand <> 'session') NOT VALID`);
      const refused = iphone(session);
      for (const answer of [
        await register(client, refused),
        await client.subscribeGroup(id(session), refused.account),
      ])
        expect(answer).toMatchObject({ body: { code: 0 } });
      for (const table of ['legacy_devices', 'legacy_members'])
        await alter(`ALTER TABLE ${table} DROP CONSTRAINT no_more`);
      await postgres().stop();
      expect(await register(client, iphone(session))).toMatchObject({ status: 503, body: { code: 0 } });
      await postgres().start();
      await eventually(async () => (await fetch(`${server.adminAddress}/readyz`)).status === 200);
      await eventually(async () => (await register(client, iphone(session))).status === 200);
    }

    const operators = await Promise.all(
      ['/metrics', '/stats', '/readyz', '/livez', '/notifiers', '/devices/deleted'].map(askAdmin),
    );

    // A stop with something hanging.
    const last = iphone(bchat);
    const other = await bchat.client(server);
    expect(await register(other, last)).toEqual(success);
    bchat.apns.answers.standing = { instead: 'hang' };
    const { requests } = bchat.apns;
    expect(await other.notify(last.account, data())).toEqual(success);
    await eventually(() => bchat.apns.requests > requests);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });

    for (const { apns, fcm, hms } of world.sides)
      for (const { headers } of [...apns.pushes, ...fcm.pushes, ...hms.pushes])
        secrets.text('access token', String(headers.authorization).replace(/^bearer /i, ''));
    const said = server.output();
    expect(said.split('\n').length).toBeGreaterThan(10);
    if (postgres !== null) expect(said).toContain('registrations of older clients cannot be written');
    expect(secrets.foundIn(said)).toEqual([]);
    expect(secrets.foundIn(operators.join('\n'))).toEqual([]);
    expect(secrets.foundIn(numbers)).toEqual([]);

    // The search finds what is there.
    expect(secrets.count).toBeGreaterThan(500);
    expect([...secrets.control()].filter((line) => secrets.foundIn(line).length === 0)).toEqual([]);
    expect(secrets.foundIn(said + JSON.stringify(last))).not.toEqual([]);
  });
}

describe('a whole run of older clients at the most talkative level (embedded)', () => suite(null));
describeWithPostgres('a whole run of older clients at the most talkative level', suite);

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { TestPostgres } from '../simulators/postgres.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import { SessionAccount, SessionDevice, onionCallOfText, postOnion } from '../simulators/session-client.js';
import { encodeMessage } from '../simulators/storage-network/stored-message.js';
import { makeMessage, nowInSeconds, postPlain, startWorld, type World } from '../simulators/world.js';
import { Secrets } from './secrets.js';
import {
  internalError,
  newSubscriber,
  subscribe,
  unsubscribe,
  untilRegistered,
  withDatabase,
} from './support.js';

const PASSWORD = 'Correct-Horse-Battery-9';

function suite(postgres: (() => TestPostgres) | null): void {
  let world: World;
  let server: ServerProcess;
  let databaseUrl: string | null = null;
  const secrets = new Secrets();

  beforeAll(async () => {
    databaseUrl = postgres === null ? null : await postgres().createDatabase();
    const withPassword = databaseUrl?.replace('waggle@', `waggle:${PASSWORD}@`);
    world = await startWorld({
      ...(withPassword !== undefined && { databaseUrl: withPassword }),
      network: { verify: true },
      config: {
        log: { level: 'trace' },
        delivery: {
          retryBaseMs: 50,
          retryMaxMs: 200,
          maxAttempts: 5,
          breakerProbeSeconds: 1,
          maxPauseSeconds: 1,
        },
        outbox: { pollIntervalMs: 100 },
        database:
          withPassword === undefined ? { dataDir: 'data' } : { url: withPassword, expirySweepSeconds: 1 },
        shutdown: { drainSeconds: 1 },
      },
    });
    server = await ServerProcess.start(world.configFile);
    if (postgres !== null) secrets.text('database password', PASSWORD);
    for (const name of ['server', 'onion']) {
      const key = await readKeyFile(join(world.directory, `keys/${name}.x25519`));
      if (!key.ok) throw new Error('the server makes its keys at its first start');
      secrets.bytes(`${name} key`, key.value.secretKey);
    }
    const p8 = await readFile(join(world.directory, 'apns.p8'), 'utf8');
    secrets.text('APNs key', p8.split('\n')[1] ?? '');
    const firebase = JSON.parse(await readFile(join(world.directory, 'firebase.json'), 'utf8')) as {
      private_key: string;
    };
    secrets.text('Firebase key', firebase.private_key.split('\n')[2] ?? '');
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  /** From here on a leak of anything about them is found. */
  function keepSecret(account: SessionAccount, phone: SessionDevice, request: Record<string, unknown>): void {
    secrets.bytes('account', account.id);
    secrets.bytes('account key', account.key.publicKey);
    secrets.bytes('payload key', phone.encryptionKey);
    secrets.text('device token', phone.token);
    if (phone.platform === 'ios') secrets.bytes('device token', Buffer.from(phone.token, 'hex'));
    for (const field of ['signature', 'subaccount_sig', 'subaccount']) {
      const value = request[field];
      if (typeof value === 'string')
        secrets.bytes(
          field,
          Buffer.from(value, field === 'subaccount' && value.length === 72 ? 'hex' : 'base64'),
        );
    }
  }

  function secretSubscriber(platform: 'ios' | 'android' = 'ios'): ReturnType<typeof newSubscriber> {
    const one = newSubscriber(platform);
    keepSecret(one.account, one.phone, one.phone.subscription(one.account, nowInSeconds()));
    return one;
  }

  it('says nothing about anybody, whatever happens', async () => {
    const address = server.httpAddress;
    const onionKey = await world.onionPublicKey();
    const text = (name: string): Buffer => {
      const secret = Buffer.from(`${name} ${randomBytes(24).toString('hex')}`);
      secrets.bytes('message', secret);
      return secret;
    };

    // Subscribes: plain, by onion, a group with a subaccount, twice; and wrong ones.
    const iphone = secretSubscriber();
    const android = secretSubscriber('android');
    const dead = secretSubscriber();
    const doomed = secretSubscriber('android');
    const refused = secretSubscriber();
    for (const one of [iphone, android, dead, doomed, refused, iphone]) await subscribe(address, one);
    const group = SessionAccount.group();
    const request = android.phone.subscription(group, nowInSeconds(), { member: group.member() });
    keepSecret(group, android.phone, request);
    const body = android.phone.body([request]);
    for (const cipher of ['aes-gcm', 'xchacha20'] as const)
      await postOnion(address, onionKey, cipher, '/subscribe', body);
    const wrong = secretSubscriber();
    const good = wrong.phone.subscription(wrong.account, nowInSeconds());
    for (const change of [
      { signature: randomBytes(64).toString('base64') },
      { sig_ts: 7 },
      { pubkey: `${wrong.account.hex}00` },
      { enc_key: 'short' },
      { namespaces: ['x'] },
      { service: wrong.phone.token },
      { service_info: { token: `${wrong.phone.token}zz` } },
    ])
      await postPlain(address, '/subscribe', wrong.phone, [{ ...good, ...change }]);
    const half = JSON.stringify(good);
    for (const text of [half.slice(0, -20), `${half}}`, half.replace('{', '{"a":1,,'), `[${half}`])
      await (await fetch(`${address}/subscribe`, { method: 'POST', body: text })).text();
    await (await fetch(`${address}/subscribe?token=${wrong.phone.token}&pubkey=${wrong.account.hex}`)).text();
    await (await fetch(`${address}/${wrong.account.hex}`)).text();
    const { frame } = onionCallOfText(onionKey, 'aes-gcm', Buffer.from(half));
    for (const onion of [Buffer.from(half), frame, frame.subarray(0, -1)])
      await fetch(`${address}/oxen/v4/lsrpc`, { method: 'POST', body: new Uint8Array(onion) });

    // A storage node that quotes what it refuses.
    for (const node of world.network.nodes)
      node.refusals.set(refused.account.hex, { errcode: 5, error: `no ${refused.account.hex} here` });
    await subscribe(address, {
      account: refused.account,
      phone: new SessionDevice('ios', refused.phone.token),
    });
    await untilRegistered(
      world.network,
      [iphone, android, dead, doomed].map(({ account }) => account.id),
    );

    // Pushes, and all that a provider can say.
    world.apns.answers.forToken(dead.phone.token, {
      status: 410,
      body: { reason: 'Unregistered', timestamp: Date.now() + 60_000 },
    });
    world.fcm.answers.forToken(doomed.phone.token, fcmError(404, 'NOT_FOUND', 'UNREGISTERED'));
    for (const one of [dead, doomed]) world.network.deliver(makeMessage(one.account, text('to the dead')));
    await eventually(async () => (await server.metric('waggle_pushes_dead_token_total')) === 2);
    const troubles = [
      { status: 500, body: { reason: 'InternalServerError' } },
      { status: 429, body: { reason: 'TooManyRequests' } },
      { status: 403, body: { reason: 'InvalidProviderToken' } },
      { status: 400, body: { reason: iphone.phone.token } },
      { status: 400, body: `{"reason":"${iphone.phone.token}` },
      { status: 418, body: iphone.account.hex },
      { instead: 'reset' },
      { instead: 'refuse' },
      { instead: 'goaway' },
      { instead: 'destroy' },
    ] as const;
    for (const trouble of troubles) {
      const before = [world.apns.requests, world.fcm.requests];
      world.apns.answers.next(trouble);
      world.fcm.answers.next(trouble);
      world.network.deliver(makeMessage(iphone.account, text('to the iPhone')));
      world.network.deliver(makeMessage(android.account, text('to the Android phone')));
      await eventually(() => world.apns.requests > (before[0] ?? 0) && world.fcm.requests > (before[1] ?? 0));
    }
    await eventually(() => world.apns.pushes.length >= 5 && world.fcm.pushes.length >= 5, {
      timeoutMs: 20_000,
    });

    // Frames that are none, and frames of strangers.
    const frameOf = encodeMessage(makeMessage(iphone.account, text('broken'))).withData;
    for (const node of world.network.nodes)
      for (const route of node.listener.routes.values())
        for (const parts of [[frameOf], [frameOf.subarray(0, -5)], [frameOf, frameOf], [frameOf.subarray(1)]])
          node.sendRaw(route, ['notify.message', ...parts]);
    for (const node of world.network.nodes)
      for (const route of node.listener.routes.values()) node.sendRaw(route, [iphone.account.hex, frameOf]);
    await eventually(async () => (await server.metric('waggle_frames_malformed_total')) > 40);

    // The database refuses a row and quotes it; then it is away.
    if (postgres !== null) {
      const alter = (sql: string): Promise<void> =>
        withDatabase({ url: databaseUrl, dataDir: '' }, (database) =>
          database.transaction((transaction) => transaction.script(sql)),
        );
      await alter("ALTER TABLE subscriptions ADD CONSTRAINT no_more CHECK (service <> 'apns') NOT VALID");
      expect(await subscribe(address, secretSubscriber())).toEqual(internalError);
      await alter('ALTER TABLE subscriptions DROP CONSTRAINT no_more');
      await alter('ALTER TABLE outbox ADD CONSTRAINT no_more CHECK (attempts < 0) NOT VALID');
      world.apns.answers.next({ status: 500, body: { reason: 'InternalServerError' } });
      world.network.deliver(makeMessage(iphone.account, text('refused by the outbox')));
      await eventually(async () => (await server.metric('waggle_store_failures_total')) > 1);
      await alter('ALTER TABLE outbox DROP CONSTRAINT no_more');
      await postgres().stop();
      expect(await subscribe(address, secretSubscriber())).toEqual(internalError);
      world.apns.answers.next({ status: 500, body: { reason: 'InternalServerError' } });
      world.network.deliver(makeMessage(iphone.account, text('while the database is away')));
      await eventually(() => server.output().includes('database'));
      await postgres().start();
      await eventually(async () => (await fetch(`${server.adminAddress}/readyz`)).status === 200);
    }
    await unsubscribe(address, android);

    const operators = await Promise.all(
      ['/metrics', '/stats', '/readyz', '/livez'].map(async (path) =>
        (await fetch(server.adminAddress + path)).text(),
      ),
    );

    // A stop with something hanging.
    world.apns.answers.standing = { instead: 'hang' };
    const requests = world.apns.requests;
    world.network.deliver(makeMessage(iphone.account, text('hangs')));
    await eventually(() => world.apns.requests > requests);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });

    for (const { headers, body } of world.apns.pushes) {
      secrets.text('APNs access token', String(headers.authorization).replace(/^bearer /i, ''));
      secrets.text('sealed payload', String(body['enc_payload']));
    }
    for (const { headers, message } of world.fcm.pushes) {
      secrets.text('FCM access token', String(headers.authorization).replace(/^Bearer /i, ''));
      secrets.text('sealed payload', message.data['enc_payload'] ?? '');
    }
    const said = server.output();
    expect(said.split('\n').length).toBeGreaterThan(10);
    expect(secrets.foundIn(said)).toEqual([]);
    expect(secrets.foundIn(operators.join('\n'))).toEqual([]);

    // The search finds what is there.
    expect(secrets.count).toBeGreaterThan(100);
    for (const line of secrets.control()) expect(secrets.foundIn(said + line)).not.toEqual([]);
    expect(secrets.foundIn(said + JSON.stringify({ a: iphone.account.id }))).not.toEqual([]);
    expect(secrets.foundIn(said + JSON.stringify(good))).not.toEqual([]);
  });
}

describe('a whole run at the most talkative level (embedded)', () => suite(null));
describeWithPostgres('a whole run at the most talkative level', suite);

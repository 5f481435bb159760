import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyPairFromSecret, type X25519KeyPair } from '../../src/crypto/x25519.js';
import { eventually } from '../simulators/eventually.js';
import { LegacyClient, type LegacyClientOptions } from '../simulators/legacy-client.js';
import {
  newAndroidToken,
  newData,
  newHuaweiToken,
  newIosToken,
  startLegacyWorld,
  type LegacySide,
  type LegacyWorld,
} from '../simulators/legacy-world.js';
import { ServerProcess } from '../simulators/server-process.js';
import { SessionAccount, SessionDevice } from '../simulators/session-client.js';
import { decodePush } from '../simulators/session-push.js';
import { makeMessage, nowInSeconds } from '../simulators/world.js';
import { newAndroid, newIphone, pushesMade, register, success } from './legacy-support.js';
import { added, untilRegistered } from './support.js';

interface App {
  readonly unregister_unknown: string;
  readonly provider_requests: {
    readonly apns: {
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly absent_headers: readonly string[];
      readonly body: object;
    };
    readonly fcm: { readonly body: object };
    readonly huawei: { readonly body: object };
  };
}
const { apps } = JSON.parse(
  readFileSync(new URL('../vectors/session-push-v1.json', import.meta.url), 'utf8'),
) as { readonly apps: Readonly<Record<Brand, App>> };

type Brand = 'session' | 'bchat';
const brands: readonly Brand[] = ['session', 'bchat'];

/** How apps of different times and systems call. */
const ways: readonly (readonly [name: string, LegacyClientOptions])[] = [
  ['v2, AES-GCM, Android', { version: 'v2' }],
  ['v2, AES-GCM, iOS', { version: 'v2', platform: 'ios' }],
  ['v2, AES-GCM, desktop', { version: 'v2', platform: 'desktop' }],
  ['v4, XChaCha20', { version: 'v4' }],
  ['v4, AES-GCM', { version: 'v4', cipher: 'aes-gcm' }],
];

/** The request of the vectors with the values of a push in the place of `<token>` and `<data>`. */
const filled = (template: object, token: string, data: string): unknown =>
  JSON.parse(JSON.stringify(template), (_key, value: unknown) =>
    value === '<token>' ? token : value === '<data>' ? data : value,
  );

const LEGACY_HOST = 'legacy.push.example.org';

describe('older clients of two apps at one server', () => {
  let world: LegacyWorld;
  let server: ServerProcess;
  /** The key of the older deployment, which had a host of its own. */
  let keyOfHost: X25519KeyPair;

  beforeAll(async () => {
    world = await startLegacyWorld({
      network: { daemon: 'beldexd', userPrefix: 0xbd, verify: true },
      config: {
        keys: {
          server: 'keys/server.x25519',
          onion: ['keys/onion.x25519'],
          onionByHost: [`${LEGACY_HOST}=legacy.x25519`],
        },
        session: { daemon: 'beldexd' },
      },
    });
    const secret = randomBytes(32);
    keyOfHost = keyPairFromSecret(secret);
    await writeFile(join(world.directory, 'legacy.x25519'), secret.toString('hex'), { mode: 0o600 });
    server = await ServerProcess.start(world.configFile);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  describe.each(brands)('%s', (name) => {
    let side: LegacySide;
    let other: LegacySide;
    const app = apps[name];
    const { provider_requests: requests } = app;

    beforeAll(() => {
      side = world[name];
      other = world[name === 'session' ? 'bchat' : 'session'];
    });

    it.each(ways)('wakes every device of an account and of a group: %s', async (_way, options) => {
      const client = await side.client(server, options);
      const [account, friend, group] = [side.newId(), side.newId(), side.newId()];
      const [ios, android, huawei] = [newIosToken(), newAndroidToken(), newHuaweiToken()];
      expect(await client.register(ios, account)).toEqual(success);
      expect(await client.register(android, account, 'android')).toEqual(success);
      expect(await client.register(huawei, friend, 'huawei')).toEqual(success);
      for (const member of [account, friend]) {
        expect(await client.subscribeGroup(group, member)).toEqual(success);
      }
      const before = { other: other.arrived, made: await pushesMade(server, side) };

      const [toAccount, toGroup] = [newData(), newData()];
      expect(await client.notify(account, toAccount)).toEqual(success);
      expect((await pushesMade(server, side)) - before.made).toBe(2);
      await eventually(() => [ios, android].every((token) => side.received(token).length === 1));
      expect(await client.notify(group, toGroup)).toEqual(success);
      expect((await pushesMade(server, side)) - before.made).toBe(5);
      await eventually(() => side.received(huawei).length === 1);
      await eventually(() => [ios, android].every((token) => side.received(token).length === 2));
      expect([ios, android, huawei].map((token) => side.received(token))).toEqual([
        [toAccount, toGroup],
        [toAccount, toGroup],
        [toGroup],
      ]);

      // To the byte what the original sends.
      const [apple] = side.apns.pushes.filter(({ token }) => token === ios);
      const { 'apns-id': _id, ...headers } = requests.apns.headers;
      expect(apple?.body).toEqual(filled(requests.apns.body, ios, toAccount));
      expect(apple?.headers).toMatchObject({
        ...headers,
        ':path': requests.apns.path.replace('<token>', ios),
      });
      // Provider tokens are a way to authenticate that the original does not have.
      for (const absent of requests.apns.absent_headers.filter((header) => header !== 'authorization'))
        expect(apple?.headers).not.toHaveProperty(absent);
      const [google] = side.fcm.pushes.filter(({ token }) => token === android);
      expect(JSON.parse(google?.bodyText ?? '')).toEqual(filled(requests.fcm.body, android, toAccount));
      const [huaweis] = side.hms.pushes.filter(({ token }) => token === huawei);
      expect(JSON.parse(huaweis?.bodyText ?? '')).toEqual(filled(requests.huawei.body, huawei, toGroup));

      // The other app has nothing to do with it, and neither provider found fault with anything.
      expect(other.arrived).toBe(before.other);
      expect([side.apns.refusals, side.fcm.refusals]).toEqual([[], []]);
    });

    it('says what it does not know, and forgets what it shall forget', async () => {
      const client = await side.client(server, { version: 'v2', platform: 'ios' });
      const [phone, group] = [newIphone(side), side.newId()];
      const unknown = { status: 200, body: { code: 0, message: app.unregister_unknown } };
      const noGroup = {
        status: 200,
        body: { code: 0, message: 'Cannot find the closed group id on PN server.' },
      };
      expect(await client.unregister(phone.token)).toEqual(unknown);
      expect(await client.unsubscribeGroup(group, phone.account)).toEqual(noGroup);
      expect(await register(client, phone)).toEqual(success);
      expect(await client.subscribeGroup(group, phone.account)).toEqual(success);
      expect(await client.unsubscribeGroup(group, phone.account)).toEqual(success);
      const before = await pushesMade(server, side);
      expect(await client.notify(group, newData())).toEqual(success);
      expect(await pushesMade(server, side)).toBe(before);
      expect(await client.unregister(phone.token)).toEqual(success);
      expect(await client.unregister(phone.token)).toEqual(unknown);
      expect(await client.notify(phone.account, newData())).toEqual(success);
      expect(await pushesMade(server, side)).toBe(before);
      expect(await client.call('bogus', {})).toMatchObject({ status: 400, body: { code: 0 } });
      expect(await client.call('register', { token: phone.token })).toEqual({
        status: 400,
        body: { code: 0, message: 'Missing parameter' },
      });
    });

    it('a token that registers for another account leaves the first', async () => {
      const client = await side.client(server);
      const first = newAndroid(side);
      const second = { ...first, account: side.newId() };
      expect(await register(client, first)).toEqual(success);
      expect(await register(client, second)).toEqual(success);
      const data = newData();
      expect(await client.notify(first.account, newData())).toEqual(success);
      expect(await client.notify(second.account, data)).toEqual(success);
      await eventually(() => side.received(first.token).length > 0);
      expect(side.received(first.token)).toEqual([data]);
    });

    it('finds its key by the host that is named, and without it by trial', async () => {
      const { httpAddress } = server;
      const keys = [await world.onionPublicKey(), keyOfHost.publicKey];
      const options = ways.flatMap(([, way]) =>
        [undefined, LEGACY_HOST, `${LEGACY_HOST.toUpperCase()}:8080`, 'other.example.org'].map((host) => ({
          ...way,
          ...(host === undefined ? {} : { host }),
        })),
      );
      for (const key of keys) {
        for (const way of options) {
          const client = new LegacyClient(httpAddress, key, side.brand, way);
          expect(await client.notify(side.newId(), newData())).toEqual(success);
        }
      }
      const stranger = keyPairFromSecret(randomBytes(32)).publicKey;
      for (const version of ['v2', 'v4'] as const) {
        const client = new LegacyClient(httpAddress, stranger, side.brand, { version, host: LEGACY_HOST });
        await expect(client.notify(side.newId(), newData())).rejects.toThrow('which no app can read');
      }
      const { frame, path } = (await side.client(server, { version: 'v4' })).frame('notify', {});
      const foreignPath = path.replace(/^\/[a-z]+/, '/other');
      for (const [to, body, status] of [
        [path, frame.subarray(0, -1), 400],
        [path, frame.subarray(0, 3), 400],
        [path, Buffer.alloc(0), 400],
        [foreignPath, frame, 404],
      ] as const) {
        const answer = await fetch(httpAddress + to, { method: 'POST', body: new Uint8Array(body) });
        expect([to, answer.status]).toEqual([to, status]);
      }
    });
  });

  it('groups-only silences what is sent to the account itself for session, and not for bchat', async () => {
    for (const [side, isSilenced] of [
      [world.session, true],
      [world.bchat, false],
    ] as const) {
      const client = await side.client(server);
      const [phone, group] = [newAndroid(side), side.newId()];
      const [alone, inGroup] = [newData(), newData()];
      expect(await client.registerGroupsOnly(phone.token, phone.account, 'android', [group])).toEqual(
        success,
      );
      expect(await client.notify(phone.account, alone)).toEqual(success);
      expect(await client.notify(group, inGroup)).toEqual(success);
      const wanted = isSilenced ? [inGroup] : [alone, inGroup];
      await eventually(() => side.received(phone.token).length === wanted.length);
      expect(side.received(phone.token).sort()).toEqual(wanted.sort());

      // A second phone that nobody asked to be silent is not silenced by the first.
      const second = { account: phone.account, token: newIosToken() };
      expect(await register(client, second)).toEqual(success);
      const again = newData();
      expect(await client.notify(phone.account, again)).toEqual(success);
      await eventually(() => side.received(second.token).length === 1);
      expect(side.received(second.token)).toEqual([again]);
      if (!isSilenced) await eventually(() => side.received(phone.token).length === 3);
      expect(side.received(phone.token)).toHaveLength(isSilenced ? 1 : 3);
    }
  });

  it('ids of one app mean nothing to the other, the same token included', async () => {
    const [session, bchat] = await Promise.all(world.sides.map((side) => side.client(server)));
    if (session === undefined || bchat === undefined) throw new Error('there are two');
    const phone = newAndroid(world.session);
    expect(await register(session, phone)).toEqual(success);
    expect(await bchat.unregister(phone.token)).toMatchObject({ body: { code: 0 } });
    expect(await register(bchat, phone)).toEqual(success);
    expect(await session.notify(phone.account, 'Ug==')).toEqual(success);
    await eventually(() => world.session.received(phone.token).length === 1);
    expect(await session.unregister(phone.token)).toEqual(success);
    expect(await bchat.notify(phone.account, 'Qg==')).toEqual(success);
    await eventually(() => world.bchat.received(phone.token).length === 1);
    expect(world.sides.map((side) => side.received(phone.token))).toEqual([['Ug=='], ['Qg==']]);
  });

  it('the v4 path of each takes signed subscriptions of its users too, by the services of its app', async () => {
    const bchat = await world.bchat.client(server, { version: 'v4' });
    const session = await world.session.client(server, { version: 'v4', cipher: 'aes-gcm' });
    const phones = [new SessionDevice('ios'), new SessionDevice('android')] as const;
    const account = SessionAccount.user(undefined, 0xbd);
    for (const phone of phones) {
      const body = phone.body([phone.subscription(account, nowInSeconds())]);
      const { code, json } = await bchat.subscription('/subscribe', body);
      expect([code, [json].flat()]).toEqual([200, [added]]);
    }
    // The network here is Beldex's, in which only groups look the same.
    const group = SessionAccount.group();
    const [, android] = phones;
    const body = android.body([android.subscription(group, nowInSeconds())]);
    expect(await session.subscription('/subscribe', body)).toEqual({ code: 200, json: [added] });
    const user = SessionAccount.user();
    const foreign = android.body([android.subscription(user, nowInSeconds())]);
    expect(await session.subscription('/subscribe', foreign)).toEqual({ code: 200, json: [added] });
    expect(await bchat.subscription('/subscribe', foreign)).toMatchObject({
      code: 200,
      json: [{ error: 4 }],
    });
    await untilRegistered(world.network, [account.id, group.id]);

    // What is heard of by both ways comes by both, each with what its client looks for.
    const [iphone] = phones;
    expect(await bchat.register(iphone.token, account.hex)).toEqual(success);
    world.network.deliver(makeMessage(account, 'from the swarm'));
    expect(await bchat.notify(account.hex, 'MQ==')).toEqual(success);
    const { apns, fcm } = world.bchat;
    const toIphone = () => apns.pushes.filter(({ token }) => token === iphone.token);
    const toAndroid = () => fcm.pushes.filter(({ token }) => token === android.token);
    await eventually(() => toIphone().length === 2 && toAndroid().length === 1);
    const sealed = toIphone().find(({ body }) => 'enc_payload' in body);
    expect(sealed?.body).toMatchObject({ spns: 1, pns: 1, aps: { alert: { title: 'Bchat' } } });
    expect(sealed?.headers['apns-topic']).toBe(apps.bchat.provider_requests.apns.headers['apns-topic']);
    const opened = decodePush(String(sealed?.body['enc_payload']), iphone.encryptionKey);
    expect([opened.account, opened.data?.toString()]).toEqual([account.hex, 'from the swarm']);
    expect(world.bchat.received(iphone.token).filter((data) => data !== null)).toEqual(['MQ==']);
    const [push] = toAndroid();
    expect(push?.message.data).toMatchObject({ spns: '1', pns: '1' });
    expect(decodePush(push?.message.data['enc_payload'] ?? '', android.encryptionKey).data?.toString()).toBe(
      'from the swarm',
    );

    world.network.deliver(makeMessage(group, 'to the group', 11));
    await eventually(() => world.session.fcm.pushes.some(({ token }) => token === android.token));
    const [toGroup] = world.session.fcm.pushes.filter(({ token }) => token === android.token);
    expect(toGroup?.message.data).toMatchObject({ spns: '1' });
    expect(toGroup?.message.data).not.toHaveProperty('pns');

    const leave = iphone.body([iphone.unsubscription(account, nowInSeconds())]);
    expect(await bchat.subscription('/unsubscribe', leave)).toMatchObject({ json: { removed: true } });
    expect(await session.subscription('/unsubscribe', leave)).toMatchObject({ json: { error: 4 } });
  });
});

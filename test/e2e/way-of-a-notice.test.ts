import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAppUnderTest, type AppUnderTest } from '../simulators/app-under-test.js';
import { eventually } from '../simulators/eventually.js';
import { SessionAccount, SessionDevice, postOnion } from '../simulators/session-client.js';
import { decodePush, show } from '../simulators/session-push.js';
import { makeMessage, nowInSeconds, postPlain, startWorld, type World } from '../simulators/world.js';

const added = { added: true, message: 'Subscription successful', success: true };

describe('the way of a notice, from a signed subscription to the phone', () => {
  let world: World;
  let app: AppUnderTest;

  beforeAll(async () => {
    world = await startWorld({ network: { verify: true } });
    app = await startAppUnderTest(world.configFile);
    await app.ready();
  });
  afterAll(async () => {
    await app.stop();
    await world.close();
  });

  const registered = (account: SessionAccount) =>
    eventually(
      () =>
        world.network.swarmNodesOf(account.id).every((node) => node.subscriptionsOf(account.id).length > 0),
      { timeoutMs: 5000, what: 'registration with every node of the swarm' },
    );

  it('wakes an iPhone that subscribed by plain JSON exactly once, and only it can read the push', async () => {
    const account = SessionAccount.user();
    const phone = new SessionDevice('ios');
    const answer = await postPlain(app.httpAddress, '/subscribe', phone, [
      phone.subscription(account, nowInSeconds()),
    ]);
    expect(answer).toEqual(added);
    const since = Date.now();
    await registered(account);
    expect(Date.now() - since).toBeLessThan(1000);

    const message = makeMessage(account, 'hello');
    expect(world.network.deliver(message)).toBe(5);
    const pushes = () => world.apns.pushes.filter((push) => push.token === phone.token);
    await eventually(() => pushes().length > 0);
    const duplicates = () => app.metric('waggle_frames_duplicate_total');
    await eventually(async () => (await duplicates()) >= 4);
    expect(pushes()).toHaveLength(1);

    const body = pushes()[0]?.body;
    expect(body?.['spns']).toBe(1);
    const encPayload = body?.['enc_payload'] as string;
    const opened = decodePush(encPayload, phone.encryptionKey);
    expect(opened).toMatchObject({ account: account.hex, hash: message.hash, namespace: 0, form: 'json' });
    expect(show(opened, 'ios')).toMatchObject({ kind: 'message', data: Buffer.from('hello') });
    expect(() => decodePush(encPayload, Buffer.alloc(32, 1))).toThrow();
  });

  it('wakes an Android phone that subscribed inside an onion request, for its account and its groups', async () => {
    const account = SessionAccount.user();
    const group = SessionAccount.group();
    const phone = new SessionDevice('android');
    const onionKey = await world.onionPublicKey();
    const body = phone.body([
      phone.subscription(account, nowInSeconds()),
      phone.subscription(group, nowInSeconds(), { member: group.member() }),
    ]);
    for (const cipher of ['aes-gcm', 'xchacha20'] as const) {
      const reply = await postOnion(app.httpAddress, onionKey, cipher, '/subscribe', body);
      expect(reply.code).toBe(200);
      const expected =
        cipher === 'aes-gcm' ? added : { message: 'Resubscription successful', success: true, updated: true };
      expect(reply.json).toEqual([expected, expected]);
    }
    await registered(account);
    await registered(group);

    world.network.deliver(makeMessage(account, 'to the account'));
    world.network.deliver(makeMessage(group, 'revoked', -11));
    const long = makeMessage(group, Buffer.alloc(2501, 0x61), 11);
    world.network.deliver(long);
    const pushes = () => world.fcm.pushes.filter((push) => push.token === phone.token);
    await eventually(() => pushes().length === 3);
    const opened = pushes().map((push) =>
      decodePush(push.message.data['enc_payload'] ?? '', phone.encryptionKey),
    );
    expect(pushes()[0]?.message.android?.priority).toBe('high');
    expect(pushes()[0]?.message.data['spns']).toBe('1');
    expect(opened.map((push) => push.namespace).sort()).toEqual([-11, 0, 11]);
    expect(opened.find((push) => push.namespace === 11)).toMatchObject({
      form: 'dict',
      tooLong: true,
      data: null,
    });
    expect(opened.find((push) => push.namespace === -11)?.data?.toString()).toBe('revoked');
  });

  it('is silent after an unsubscribe', async () => {
    const account = SessionAccount.user();
    const phone = new SessionDevice('ios');
    await postPlain(app.httpAddress, '/subscribe', phone, [phone.subscription(account, nowInSeconds())]);
    await registered(account);
    const answer = await postPlain(app.httpAddress, '/unsubscribe', phone, [
      phone.unsubscription(account, nowInSeconds()),
    ]);
    expect(answer).toEqual({
      message: 'Device unsubscribed from push notifications',
      removed: true,
      success: true,
    });
    const unmatched = await app.metric('waggle_frames_unmatched_total');
    world.network.deliver(makeMessage(account, 'nobody'));
    await eventually(async () => (await app.metric('waggle_frames_unmatched_total')) >= unmatched + 5);
    expect(world.apns.pushes.filter((push) => push.token === phone.token)).toEqual([]);
  });

  it('removes a subscription whose token Apple calls dead, and stops telling the swarm', async () => {
    const account = SessionAccount.user();
    const phone = new SessionDevice('ios');
    await postPlain(app.httpAddress, '/subscribe', phone, [phone.subscription(account, nowInSeconds())]);
    await registered(account);
    world.apns.answers.forToken(phone.token, {
      status: 410,
      body: { reason: 'Unregistered', timestamp: Date.now() + 1000 },
    });
    const before = await app.metric('waggle_accounts');
    world.network.deliver(makeMessage(account, 'to a dead token'));
    await eventually(async () => (await app.metric('waggle_accounts')) === before - 1);
    const again = await postPlain(app.httpAddress, '/subscribe', phone, [
      phone.subscription(account, nowInSeconds()),
    ]);
    expect(again).toEqual(added);
  });

  it('tells operators what the original told', async () => {
    const stats = (await (await fetch(`${app.adminAddress}/stats`)).json()) as Record<string, unknown>;
    expect(stats).toMatchObject({ swarms: 4, snodes: 20, connections: 20, pending_connections: 0 });
    expect(stats['block_hash']).toMatch(/^[0-9a-f]{64}$/);
    expect(Number(stats['pushes'])).toBeGreaterThanOrEqual(25);
    expect(
      (stats['notifier'] as Record<string, Record<string, number>>)['apns']?.['notifies'],
    ).toBeGreaterThan(0);
  });
});

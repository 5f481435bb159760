import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { XMPP_TOPIC } from '../simulators/xmpp-world.js';
import { describeWithEjabberd, describeWithProsody } from '../simulators/xmpp/describe-servers.js';
import type { RealXmppServer } from '../simulators/xmpp/real-server.js';
import { errorOf } from '../simulators/xmpp/xmpp-client.js';
import { askAppServer, publishAnswers, untilArrived, XmppScene } from './xmpp-support.js';

vi.setConfig({ testTimeout: 40_000 });

/** Both servers can be told to pass on what was written, and by whom: what comes to us then must end here. */
const prosodyTells = {
  lines: ['push_notification_with_body = true', 'push_notification_with_sender = true'],
};
const ejabberdTells = { push: { include_body: true, include_sender: true } };

const BODY = 'meet me at the old oak at seven';
/** So many answers that a node or secret is unknown end a registration. */
const ERRORS_TO_THE_END = { prosody: 16, ejabberd: 1 } as const;

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');

/** `isWhole` false: only what has to do with the database. */
function suite(
  real: () => RealXmppServer,
  databaseUrl: () => Promise<string | null>,
  isWhole: boolean,
): void {
  let scene: XmppScene;

  beforeAll(async () => {
    scene = await XmppScene.start(real(), { databaseUrl: await databaseUrl() });
  });
  afterEach(() => scene.usersLeave());
  afterAll(() => scene.close());

  it('an iPhone is rung up for a message, and woken in silence for what has no text', async () => {
    const away = await scene.away();
    const { device, account } = away;
    await scene.send(away, BODY);
    await untilArrived(away, 1);
    await scene.send(away, null);
    await untilArrived(away, 2);
    const [loud, silent] = device.arrived();
    expect(loud?.headers).toMatchObject({
      'apns-topic': XMPP_TOPIC,
      'apns-push-type': 'alert',
      'apns-priority': '10',
    });
    expect(JSON.parse(loud?.text ?? '')).toEqual({
      aps: {
        'mutable-content': 1,
        alert: { title: 'New Message', body: 'New Message' },
        sound: 'default',
      },
    });
    expect(silent?.headers).toMatchObject({ 'apns-push-type': 'background', 'apns-priority': '5' });
    expect(JSON.parse(silent?.text ?? '')).toEqual({ aps: { 'content-available': 1 } });

    // Apple learns neither what was written nor to whom or by whom.
    const seen = JSON.stringify(device.arrived());
    for (const secret of [BODY, account.name, real().domain, device.node, away.address.secret]) {
      expect(seen).not.toContain(secret);
    }
    expect(await scene.registrations(away)).toEqual([away.address]);
    const back = await scene.user(account);
    await eventually(() => back.bodies().length > 0);
    expect(back.bodies()).toEqual([BODY]);
  });

  it('an Android that registered as clients of p2 do learns which of its accounts it is', async () => {
    const away = await scene.away(scene.newDevice('fcm'), 'p2');
    const { account, device } = away;
    await scene.send(away, BODY);
    await untilArrived(away, 1);
    const hash = sha1(`${account.jid}\0${device.node}`);
    const [push] = device.arrived();
    expect(JSON.parse(push?.text ?? '')).toMatchObject({
      message: {
        token: device.token,
        data: { account: hash },
        android: { priority: 'high', collapse_key: hash.slice(0, 6) },
      },
    });
    expect(push?.text).not.toContain(BODY);
    expect(push?.text).not.toContain(account.name);
    expect(await scene.registrations(away)).toEqual([away.address]);
  });

  it('who registers again keeps node and secret, and is woken by the new token', async () => {
    const [old, renewed] = [scene.newDevice(), scene.newDevice()];
    const away = await scene.away(old);
    const { jid } = away.address;
    const user = await scene.user(away.account);
    const { token } = renewed;
    const again = await user.registerV1(jid, { type: 'apns', node: old.node, token });
    expect(again).toEqual(away.address);
    await user.goAway();
    await scene.send(away, BODY);
    await untilArrived({ device: renewed }, 1);
    expect(old.arrived()).toEqual([]);
  });

  it.each([
    ['a wrong secret', { secret: 'f'.repeat(64) }],
    ['a node that nobody knows', { node: 'nobody' }],
  ])('%s ends the registration at the server, and no other one', async (_what, wrong) => {
    const [away, other] = [await scene.away(scene.newDevice(), 'command', wrong), await scene.away()];
    const count = ERRORS_TO_THE_END[real().kind];
    const before = await publishAnswers(scene.server, 'refused');
    for (let n = 1; n < count; n += 1) await scene.send(away, BODY);
    await eventually(async () => (await publishAnswers(scene.server, 'refused')) === before + count - 1);
    expect(await scene.registrations(away)).toEqual([away.address]);
    await scene.send(away, BODY);
    await eventually(async () => (await scene.registrations(away)).length === 0);
    expect(away.device.arrived()).toEqual([]);
    await scene.send(other, BODY);
    await untilArrived(other, 1);
    expect(await scene.registrations(other)).toEqual([other.address]);
  });

  it.each(['command', 'p2', 'http'] as const)(
    'who has unregistered by %s is not woken, and the registration ends at the server',
    async (way) => {
      const away = await scene.away(scene.newDevice('fcm'), way);
      const { type, node } = away.device;
      const user = await scene.user(away.account);
      const { jid } = away.address;
      if (way === 'command') await user.unregisterV1(jid, { type, node });
      else if (way === 'p2') await user.unregisterP2(jid, 'fcm', { 'device-id': node });
      else {
        const { lines } = await askAppServer(scene.server, 'unregister', { type, node });
        expect(lines).toEqual(['OK', node, away.address.secret]);
      }
      await user.goAway();
      const count = ERRORS_TO_THE_END[real().kind];
      for (let n = 1; n <= count; n += 1) await scene.send(away, BODY);
      await eventually(async () => (await scene.registrations(away)).length === 0);
      expect(away.device.arrived()).toEqual([]);
    },
  );

  it('a dead token ends the registration with the very push that shows it', async () => {
    const away = await scene.away();
    const { device, account, address } = away;
    await scene.send(away, BODY);
    await untilArrived(away, 1);
    const gone = { status: 410, body: { reason: 'Unregistered', timestamp: Date.now() + 60_000 } };
    scene.world.apns.answers.forToken(device.token, gone);
    const [refused, deaths] = [await publishAnswers(scene.server, 'refused'), await deadTokens()];
    await scene.send(away, BODY);
    await eventually(async () => (await publishAnswers(scene.server, 'refused')) === refused + 1);
    expect(await deadTokens()).toBe(deaths + 1);
    const { lines } = await askAppServer(scene.server, 'push', { node: device.node, secret: address.secret });
    expect(lines).toEqual(['ERROR', 'Node or secret not found!']);
    expect(await scene.registrations(away)).toEqual(real().kind === 'ejabberd' ? [] : [address]);

    // The client comes back with a new token, under the same node: that is a new registration.
    const user = await scene.user(account);
    const renewed = scene.newDevice();
    const { token } = renewed;
    const again = await user.registerV1(address.jid, { type: 'apns', node: device.node, token });
    await user.enablePush(again);
    await user.goAway();
    await scene.send(away, BODY);
    await untilArrived({ device: renewed }, 1);
    expect(await scene.registrations(away)).toEqual([again]);
  });

  const deadTokens = (): Promise<number> =>
    scene.server.metric('waggle_xmpp_device_changes_total{change="dead-token"}');

  if (!isWhole) return;

  it.each(['apns', 'fcm', 'huawei', 'wns', 'webpush', 'unifiedpush'] as const)(
    'a device of type %s that registered over HTTP is woken, and nothing that was written reaches it',
    async (type) => {
      const away = await scene.away(scene.newDevice(type), 'http');
      await scene.send(away, BODY);
      await untilArrived(away, 1);
      expect(JSON.stringify(away.device.arrived())).not.toContain(BODY);
      expect(await scene.registrations(away)).toEqual([away.address]);
    },
  );

  it('who disables push is left alone, and rung up again when he has enabled it', async () => {
    const away = await scene.away();
    const user = await scene.user(away.account);
    await user.disablePush(away.address);
    await user.goAway();
    const other = await scene.away();
    await scene.send(away, BODY);
    await scene.send(other, BODY);
    await untilArrived(other, 1);
    expect(away.device.arrived()).toEqual([]);

    const back = await scene.user(away.account);
    await back.enablePush(away.address);
    await back.goAway();
    await scene.send(away, BODY);
    await untilArrived(away, 1);
  });

  it('a command that asks for what nobody has is refused, and leaves what is there alone', async () => {
    const away = await scene.away();
    const { type, node, token } = away.device;
    const user = await scene.user(away.account);
    const { jid } = away.address;
    for (const [command, fields, error] of [
      ['v1-register-push', { type: 'pager', node, token }, 'modify/not-acceptable'],
      ['v1-register-push', { type, node, token: '' }, 'modify/not-acceptable'],
      ['v1-unregister-push', { type: 'fcm', node }, 'cancel/item-not-found'],
      ['unregister-push-fcm', { 'device-id': node }, 'cancel/item-not-found'],
    ] as const) {
      expect([command, errorOf(await user.command(jid, command, fields))]).toEqual([command, error]);
    }
    await user.goAway();
    await scene.send(away, BODY);
    await untilArrived(away, 1);
  });

  it.each(['stop', 'kill'] as const)('a %s of the XMPP server costs nobody anything', async (way) => {
    const away = await scene.away();
    await scene.usersLeave();
    const before = await scene.server.metric('waggle_xmpp_connects_total');
    await real()[way]();
    await eventually(async () => (await scene.server.metric('waggle_xmpp_connections')) === 0);
    await real().start();
    await eventually(
      async () =>
        (await scene.server.metric('waggle_xmpp_connects_total')) === before + scene.connections &&
        (await scene.server.metric('waggle_xmpp_connections')) === scene.connections,
    );
    expect(await scene.registrations(away)).toEqual([away.address]);
    await scene.send(away, BODY);
    await untilArrived(away, 1);
  });
}

describeWithPostgres('from a message to a device', (postgres) => {
  const databaseUrl = (): Promise<string> => postgres().createDatabase();
  describeWithProsody('a message', (server) => suite(server, databaseUrl, true), prosodyTells);
  describeWithEjabberd('a message', (server) => suite(server, databaseUrl, true), ejabberdTells);
});
describe('from a message to a device (embedded)', () => {
  describeWithProsody(
    'a message',
    (server) => suite(server, () => Promise.resolve(null), false),
    prosodyTells,
  );
});

import { afterEach, describe, expect, it } from 'vitest';
import type { PublishOutcome, PublishRequest } from '../../src/xmpp/port.js';
import { eventually } from '../simulators/eventually.js';
import { componentUnderTest, entryAt, type UnderTest } from '../simulators/xmpp/component-under-test.js';
import {
  describeWithEjabberd,
  describeWithProsody,
  describeWithXmppServers,
} from '../simulators/xmpp/describe-servers.js';
import type { Account, RealXmppServer } from '../simulators/xmpp/real-server.js';
import { errorOf, fieldsOf, xml, XmppUser, type PushAddress } from '../simulators/xmpp/xmpp-client.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Publish = (request: PublishRequest) => PublishOutcome;

/** A component of ours at a real server, online. */
async function componentAt(
  server: RealXmppServer,
  publish: Publish = () => ({ kind: 'accepted' }),
  connections = 1,
): Promise<UnderTest> {
  const underTest = componentUnderTest(
    [entryAt(server.componentPort, { ...server.component, connections })],
    { publish },
  );
  ends.push(() => underTest.component.stop());
  underTest.component.start();
  await eventually(() => isOnline(underTest), { what: 'the component at the server' });
  return underTest;
}

const isOnline = ({ component }: UnderTest): boolean =>
  component.status().every(({ state }) => state === 'online');

async function userAt(server: RealXmppServer, account?: Account): Promise<XmppUser> {
  const user = await XmppUser.connect(server, account ?? (await server.addAccount()));
  ends.push(() => user.vanish());
  return user;
}

/** Somebody who has registered at the component, has had that put on the server's record, and is away now. */
async function awayUser(
  server: RealXmppServer,
  node = 'device-1',
): Promise<{ account: Account; address: PushAddress }> {
  const user = await userAt(server);
  const { domain } = server.component;
  const address = await user.registerV1(domain, { type: 'fcm', node, token: `token-of-${node}` });
  await user.enablePush(address);
  await user.goAway();
  expect(await server.registrations(user.account)).toEqual([address]);
  return { account: user.account, address };
}

/** Sends as many messages; resolves when the server has taken them. */
async function sendMessages(from: XmppUser, to: Account, count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) await from.sendMessage(to, `message ${n}`);
  await from.sync();
}

const answersTo = ({ report }: UnderTest): readonly string[] =>
  report.answers.filter((answer) => answer.startsWith('publish'));
const answered = (underTest: UnderTest, count: number): Promise<boolean> =>
  eventually(() => answersTo(underTest).length >= count, { what: `${count} answered publishes` });

describeWithXmppServers('the component at a real server', (server) => {
  it('is found and asked by clients', async () => {
    await componentAt(server());
    const user = await userAt(server());
    const { domain } = server().component;
    expect(await user.features(domain)).toEqual(
      expect.arrayContaining(['urn:xmpp:push:0', 'http://jabber.org/protocol/commands', 'jabber:x:data']),
    );
    const items = xml('query', {
      xmlns: 'http://jabber.org/protocol/disco#items',
      node: 'http://jabber.org/protocol/commands',
    });
    const commands = (await user.ask('get', items, domain)).elements()[0]?.elements() ?? [];
    expect(commands.map((item) => item.attribute('node'))).toContain('v1-register-push');
    const ping = await user.ask('get', xml('ping', { xmlns: 'urn:xmpp:ping' }), domain);
    expect(ping.attribute('type')).toBe('result');
    const version = await user.ask('get', xml('query', { xmlns: 'jabber:iq:version' }), domain);
    expect(version.elements()[0]?.child('name')?.text()).toBe('Waggle');
    const other = await user.ask('get', xml('vCard', { xmlns: 'vcard-temp' }), domain);
    expect(errorOf(other)).toBe('cancel/service-unavailable');
  });

  it('stands behind accounts that can be woken', async () => {
    const user = await userAt(server());
    expect(await user.features()).toContain('urn:xmpp:push:0');
  });

  it('registers, renews and unregisters clients of mod_push_appserver', async () => {
    const { registrations } = await componentAt(server());
    const user = await userAt(server());
    const { domain } = server().component;
    const device = { type: 'fcm', node: 'ënd-👤' };
    const first = await user.registerV1(domain, { ...device, token: 'token-1' });
    expect(first).toEqual({ jid: domain, node: 'ënd-👤', secret: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await user.registerV1(domain, { ...device, token: 'token-2' })).toEqual(first);
    expect(registrations.calls).toEqual(
      ['token-1', 'token-2'].map((token) => ({
        target: { kind: 'v1', ...device, accountDomain: 'localhost' },
        token,
      })),
    );
    await user.unregisterV1(domain, device);
    const again = await user.command(domain, 'v1-unregister-push', device);
    expect(errorOf(again)).toBe('cancel/item-not-found');
    const unknown = await user.command(domain, 'v1-register-push', { ...device, type: 'pager', token: 't' });
    expect(errorOf(unknown)).toBe('modify/not-acceptable');
  });

  it('registers and unregisters clients of p2', async () => {
    await componentAt(server());
    const user = await userAt(server());
    const { domain } = server().component;
    const device = { 'device-id': 'phone' };
    const first = await user.registerP2(domain, 'fcm', { ...device, token: 'token-1' });
    expect(first.jid).toBe(domain);
    expect(await user.registerP2(domain, 'gcm', { ...device, token: 'token-2' })).toEqual(first);
    const older = await user.command(domain, 'register-push-gcm', {
      'android-id': 'phone',
      token: 'token-3',
    });
    expect(fieldsOf(older)).toEqual({ ...first });
    const room = { ...device, muc: 'room@muc.localhost' };
    expect((await user.registerP2(domain, 'fcm', { ...room, token: 'token-1' })).node).not.toBe(first.node);
    await user.unregisterP2(domain, 'fcm', room);
    expect(errorOf(await user.command(domain, 'unregister-push-fcm', room))).toBe('cancel/item-not-found');
    await user.unregisterP2(domain, 'fcm', device);
  });

  it('is told of each message for a user who is away, with the node and the secret of the registration', async () => {
    const underTest = await componentAt(server());
    const { account, address } = await awayUser(server(), 'nöde-👤');
    const sender = await userAt(server());
    await sender.sendMessage(account, 'hello');
    await answered(underTest, 1);
    await sender.sendMessage(account, null);
    await answered(underTest, 2);
    expect(underTest.published).toMatchObject([
      { node: address.node, secret: address.secret, summary: { hasBody: true } },
      { node: address.node, secret: address.secret, summary: { hasBody: false } },
    ]);
    expect(underTest.published[0]).toMatchObject({ senderDomain: 'localhost', isFromServer: true });
    expect(answersTo(underTest)).toEqual(['publish result', 'publish result']);
    expect(await server().registrations(account)).toEqual([address]);

    const back = await userAt(server(), account);
    await back.received(({ name, ...message }) => name === 'message' && message !== null);
    expect(back.bodies()).toEqual(['hello']);
  });

  it('is told nothing of users who are there, and nothing any more of those who have had enough', async () => {
    const underTest = await componentAt(server());
    const { account, address } = await awayUser(server());
    const sender = await userAt(server());
    const user = await userAt(server(), account);
    await sendMessages(sender, account, 1);
    await eventually(() => user.bodies().length === 1);
    await user.disablePush(address);
    expect(await server().registrations(account)).toEqual([]);
    await user.goAway();
    await sendMessages(sender, account, 1);

    const other = await awayUser(server(), 'other');
    await sendMessages(sender, other.account, 1);
    await answered(underTest, 1);
    expect(underTest.published.map(({ node }) => node)).toEqual(['other']);
  });

  it('is told of each device of a user', async () => {
    const underTest = await componentAt(server());
    const account = await server().addAccount();
    const addresses = await Promise.all(
      ['phone', 'tablet'].map(async (node) => {
        const device = await userAt(server(), account);
        const address = await device.registerV1(server().component.domain, { type: 'fcm', node, token: 't' });
        await device.enablePush(address);
        await device.goAway();
        return address;
      }),
    );
    const recorded = await server().registrations(account);
    expect([...recorded].sort((a, b) => (a.node ?? '').localeCompare(b.node ?? ''))).toEqual(addresses);
    await sendMessages(await userAt(server()), account, 1);
    await answered(underTest, 2);
    expect(underTest.published.map(({ node }) => node).sort()).toEqual(['phone', 'tablet']);
  });

  it('is told of messages for a client that is out of reach', async () => {
    const underTest = await componentAt(server());
    const user = await userAt(server());
    const { domain } = server().component;
    const address = await user.registerV1(domain, { type: 'fcm', node: 'device', token: 't' });
    await user.enablePush(address);
    await user.vanish();
    await sendMessages(await userAt(server()), user.account, 1);
    await eventually(() => underTest.published.some(({ summary }) => summary.hasBody));
    expect(new Set(underTest.published.map(({ node }) => node))).toEqual(new Set(['device']));
  });

  it('keeps registrations alive through 22 `wait` answers in a row', async () => {
    const underTest = await componentAt(server(), () => ({ kind: 'failed', text: 'the provider is away' }));
    const { account, address } = await awayUser(server());
    await sendMessages(await userAt(server()), account, 22);
    await answered(underTest, 22);
    expect(new Set(answersTo(underTest))).toEqual(new Set(['publish wait']));
    expect(await server().registrations(account)).toEqual([address]);
  });

  it('is not let in with a wrong secret or for a domain that nobody has configured', async () => {
    const { componentPort, component } = server();
    const underTest = componentUnderTest([
      entryAt(componentPort, { ...component, secret: 'wrong' }),
      entryAt(componentPort, { ...component, domain: 'unknown.localhost' }),
    ]);
    ends.push(() => underTest.component.stop());
    underTest.component.start();
    await eventually(() => underTest.report.ends.length >= 2);
    expect(new Set(underTest.report.ends)).toEqual(new Set(['refused']));
    expect(underTest.report.connects).toBe(0);
  });

  it.each(['stop', 'kill'] as const)(
    'comes back to a server after its %s, and so do registrations',
    async (way) => {
      const underTest = await componentAt(server());
      const { account, address } = await awayUser(server());
      await server()[way]();
      await eventually(() => !isOnline(underTest));
      await server().start();
      await eventually(() => isOnline(underTest));
      expect(await server().registrations(account)).toEqual([address]);
      await sendMessages(await userAt(server()), account, 1);
      await answered(underTest, 1);
      expect(underTest.published).toMatchObject([{ node: address.node, secret: address.secret }]);
    },
  );
});

describeWithProsody('what keeps and ends registrations', (server) => {
  it('is the 16th answer in a row that node or secret are unknown', async () => {
    const underTest = await componentAt(server(), () => ({ kind: 'unknown' }));
    const { account, address } = await awayUser(server());
    const sender = await userAt(server());
    await sendMessages(sender, account, 15);
    await answered(underTest, 15);
    await sender.sync();
    expect(await server().registrations(account)).toEqual([address]);
    await sendMessages(sender, account, 1);
    await eventually(async () => (await server().registrations(account)).length === 0);
    expect(new Set(answersTo(underTest))).toEqual(new Set(['publish refused']));
  });

  it('counts from the start again after a success', async () => {
    let kind: 'unknown' | 'accepted' = 'unknown';
    const underTest = await componentAt(server(), () => ({ kind }));
    const { account, address } = await awayUser(server());
    const sender = await userAt(server());
    await sendMessages(sender, account, 15);
    await answered(underTest, 15);
    kind = 'accepted';
    await sendMessages(sender, account, 1);
    await answered(underTest, 16);
    kind = 'unknown';
    await sendMessages(sender, account, 15);
    await answered(underTest, 31);
    await sender.sync();
    expect(await server().registrations(account)).toEqual([address]);
  });

  it('is not our absence', async () => {
    const underTest = await componentAt(server());
    const { account, address } = await awayUser(server());
    await underTest.component.stop();
    await sendMessages(await userAt(server()), account, 20);
    expect(await server().registrations(account)).toEqual([address]);
  });
});

describeWithProsody('a component and one that wants its place', (server) => {
  it('waits for the place, and takes it when it is free', async () => {
    const first = await componentAt(server());
    const { component, componentPort } = server();
    const second = componentUnderTest([entryAt(componentPort, component)]);
    ends.push(() => second.component.stop());
    second.component.start();
    await eventually(() => second.report.ends.length > 0);
    expect(new Set(second.report.ends)).toEqual(new Set(['conflict']));
    expect(isOnline(first)).toBe(true);
    await first.component.stop();
    await eventually(() => isOnline(second));
  });

  it('leaves a server that has stopped to answer, and is back when it goes on', async () => {
    const { component, componentPort } = server();
    const underTest = componentUnderTest([entryAt(componentPort, component)], {
      options: { pingIntervalMs: 100, silenceMs: 150 },
    });
    ends.push(() => underTest.component.stop());
    underTest.component.start();
    await eventually(() => isOnline(underTest));
    server().freeze();
    try {
      await eventually(() => underTest.report.ends.includes('silent'));
    } finally {
      server().thaw();
    }
    await eventually(() => isOnline(underTest));
  });
});

describeWithEjabberd('what keeps and ends registrations', (server) => {
  it('is the first answer that node or secret are unknown', async () => {
    const underTest = await componentAt(server(), () => ({ kind: 'unknown' }));
    const { account } = await awayUser(server());
    const sender = await userAt(server());
    await sendMessages(sender, account, 1);
    await eventually(async () => (await server().registrations(account)).length === 0);
    await sendMessages(sender, account, 3);
    expect(answersTo(underTest)).toEqual(['publish refused']);
  });

  it('is a message while there is no component', async () => {
    const underTest = await componentAt(server());
    const { account } = await awayUser(server());
    await underTest.component.stop();
    await sendMessages(await userAt(server()), account, 1);
    await eventually(async () => (await server().registrations(account)).length === 0);
  });

  it('is not the end of one of two connections', async () => {
    const [leaving, staying] = [await componentAt(server()), await componentAt(server())];
    const { account, address } = await awayUser(server());
    const sender = await userAt(server());
    const sent = sendMessages(sender, account, 200);
    await eventually(() => leaving.published.length > 20, { everyMs: 1 });
    await leaving.component.stop();
    const atTheEnd = leaving.published.length;
    await sent;
    await eventually(() => leaving.published.length + staying.published.length >= 200);
    expect(atTheEnd).toBeLessThan(200);
    expect(answersTo(leaving).length + answersTo(staying).length).toBe(200);
    expect(leaving.report.lost + staying.report.lost).toBe(0);
    await sendMessages(sender, account, 1);
    await eventually(() => leaving.published.length + staying.published.length === 201);
    expect(await server().registrations(account)).toEqual([address]);
  });
});

import { expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import {
  atRealServer,
  isOnline,
  publishAnswers,
  publishesAnswered,
  sendMessages,
} from '../simulators/xmpp/at-real-server.js';
import { componentUnderTest, entryAt } from '../simulators/xmpp/component-under-test.js';
import { describeWithProsody, describeWithXmppServers } from '../simulators/xmpp/describe-servers.js';
import { errorOf, fieldsOf, xml } from '../simulators/xmpp/xmpp-client.js';

const at = atRealServer();

describeWithXmppServers('the component at a real server', (server) => {
  it('is found and asked by clients', async () => {
    await at.component(server());
    const user = await at.user(server());
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
    const user = await at.user(server());
    expect(await user.features()).toContain('urn:xmpp:push:0');
  });

  it('registers, renews and unregisters clients of mod_push_appserver', async () => {
    const { registrations } = await at.component(server());
    const user = await at.user(server());
    const { domain } = server().component;
    const device = { type: 'fcm', node: 'ënd-👤' };
    const first = await user.registerV1(domain, { ...device, token: 'token-1' });
    expect(first).toMatchObject({ jid: domain, node: 'ënd-👤' });
    expect(first.secret).toMatch(/^[0-9a-f]{64}$/);
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
    await at.component(server());
    const user = await at.user(server());
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
    const underTest = await at.component(server());
    const { account, address } = await at.awayUser(server(), { node: 'nöde-👤' });
    const sender = await at.user(server());
    await sender.sendMessage(account, 'hello');
    await publishesAnswered(underTest, 1);
    await sender.sendMessage(account, null);
    await publishesAnswered(underTest, 2);
    expect(underTest.published).toMatchObject([
      { node: address.node, secret: address.secret, summary: { hasBody: true } },
      { node: address.node, secret: address.secret, summary: { hasBody: false } },
    ]);
    expect(underTest.published[0]).toMatchObject({ senderDomain: 'localhost', isFromServer: true });
    expect(publishAnswers(underTest)).toEqual(['publish result', 'publish result']);
    expect(await server().registrations(account)).toEqual([address]);

    const back = await at.user(server(), account);
    await eventually(() => back.bodies().length > 0);
    expect(back.bodies()).toEqual(['hello']);
  });

  it('is told nothing of users who are there, and nothing any more of those who have had enough', async () => {
    const underTest = await at.component(server());
    const { account, address } = await at.awayUser(server());
    const sender = await at.user(server());
    const user = await at.user(server(), account);
    await sendMessages(sender, account, 1);
    await eventually(() => user.bodies().length === 1);
    await user.disablePush(address);
    expect(await server().registrations(account)).toEqual([]);
    await user.goAway();
    await sendMessages(sender, account, 1);

    const other = await at.awayUser(server(), { node: 'other' });
    await sendMessages(sender, other.account, 1);
    await publishesAnswered(underTest, 1);
    expect(underTest.published.map(({ node }) => node)).toEqual(['other']);
  });

  it('is told of each device of a user', async () => {
    const underTest = await at.component(server());
    const account = await server().addAccount();
    const addresses = await Promise.all(
      ['phone', 'tablet'].map(async (node) => {
        const device = await at.user(server(), account);
        const address = await device.registerV1(server().component.domain, { type: 'fcm', node, token: 't' });
        await device.enablePush(address);
        await device.goAway();
        return address;
      }),
    );
    const recorded = await server().registrations(account);
    expect([...recorded].sort((a, b) => (a.node ?? '').localeCompare(b.node ?? ''))).toEqual(addresses);
    await sendMessages(await at.user(server()), account, 1);
    await publishesAnswered(underTest, 2);
    expect(underTest.published.map(({ node }) => node).sort()).toEqual(['phone', 'tablet']);
  });

  it('is told of messages for a client that is out of reach', async () => {
    const underTest = await at.component(server());
    const user = await at.user(server());
    const { domain } = server().component;
    const address = await user.registerV1(domain, { type: 'fcm', node: 'device', token: 't' });
    await user.enablePush(address);
    await user.vanish();
    await sendMessages(await at.user(server()), user.account, 1);
    await eventually(() => underTest.published.some(({ summary }) => summary.hasBody));
    expect(new Set(underTest.published.map(({ node }) => node))).toEqual(new Set(['device']));
    // Or what the server still keeps for the client is published when its session is over, in some later test.
    await (await at.user(server(), user.account)).disablePush(address);
  });

  it('is not let in with a wrong secret or for a domain that nobody has configured', async () => {
    const { componentPort, component } = server();
    const underTest = componentUnderTest([
      entryAt(componentPort, { ...component, secret: 'wrong' }),
      entryAt(componentPort, { ...component, domain: 'unknown.localhost' }),
    ]);
    at.onEnd(() => underTest.component.stop());
    underTest.component.start();
    await eventually(() => underTest.report.ends.length >= 2);
    expect(new Set(underTest.report.ends)).toEqual(new Set(['refused']));
    expect(underTest.report.connects).toBe(0);
  });
});

describeWithProsody('a component and one that wants its place', (server) => {
  it('waits for the place, and takes it when it is free', async () => {
    const first = await at.component(server());
    const { component, componentPort } = server();
    const second = componentUnderTest([entryAt(componentPort, component)]);
    at.onEnd(() => second.component.stop());
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
    at.onEnd(() => underTest.component.stop());
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

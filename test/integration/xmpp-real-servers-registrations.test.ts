import { expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import {
  answersAreRead,
  atRealServer,
  isOnline,
  publishAnswers,
  publishesAnswered,
  sendMessages,
} from '../simulators/xmpp/at-real-server.js';
import {
  describeWithEjabberd,
  describeWithProsody,
  describeWithXmppServers,
} from '../simulators/xmpp/describe-servers.js';

const at = atRealServer();

describeWithXmppServers('registrations', (server) => {
  it('outlive 22 `wait` answers in a row', async () => {
    const underTest = await at.component(server(), () => ({ kind: 'failed', text: 'the provider is away' }));
    const { account, address } = await at.awayUser(server());
    const sender = await at.user(server());
    await sendMessages(sender, account, 22);
    await publishesAnswered(underTest, 22);
    await answersAreRead(server(), sender);
    expect(new Set(publishAnswers(underTest))).toEqual(new Set(['publish wait']));
    expect(await server().registrations(account)).toEqual([address]);
  });

  it.each(['stop', 'kill'] as const)(
    'outlive a %s of the server, and the component comes back to it',
    async (way) => {
      const underTest = await at.component(server());
      const { account, address } = await at.awayUser(server());
      await server()[way]();
      await eventually(() => !isOnline(underTest));
      await server().start();
      await eventually(() => isOnline(underTest));
      expect(await server().registrations(account)).toEqual([address]);
      await sendMessages(await at.user(server()), account, 1);
      await publishesAnswered(underTest, 1);
      expect(underTest.published).toMatchObject([{ node: address.node, secret: address.secret }]);
    },
  );
});

describeWithProsody('registrations, and answers that end them', (server) => {
  it('end with the 16th answer in a row that node or secret are unknown', async () => {
    const underTest = await at.component(server(), () => ({ kind: 'unknown' }));
    const { account, address } = await at.awayUser(server());
    const sender = await at.user(server());
    await sendMessages(sender, account, 15);
    await publishesAnswered(underTest, 15);
    await answersAreRead(server(), sender);
    expect(await server().registrations(account)).toEqual([address]);
    await sendMessages(sender, account, 1);
    await eventually(async () => (await server().registrations(account)).length === 0);
    expect(new Set(publishAnswers(underTest))).toEqual(new Set(['publish refused']));
  });

  it('are counted from the start again after a success', async () => {
    let kind: 'unknown' | 'accepted' = 'unknown';
    const underTest = await at.component(server(), () => ({ kind }));
    const { account, address } = await at.awayUser(server());
    const sender = await at.user(server());
    await sendMessages(sender, account, 15);
    await publishesAnswered(underTest, 15);
    kind = 'accepted';
    await sendMessages(sender, account, 1);
    await publishesAnswered(underTest, 16);
    await answersAreRead(server(), sender);
    kind = 'unknown';
    await sendMessages(sender, account, 15);
    await publishesAnswered(underTest, 31);
    await answersAreRead(server(), sender);
    expect(await server().registrations(account)).toEqual([address]);
  });

  it('outlive our absence', async () => {
    const underTest = await at.component(server());
    const { account, address } = await at.awayUser(server());
    await underTest.component.stop();
    await sendMessages(await at.user(server()), account, 20);
    expect(await server().registrations(account)).toEqual([address]);
  });
});

describeWithEjabberd('registrations, and answers that end them', (server) => {
  it('end with the first answer that node or secret are unknown', async () => {
    const underTest = await at.component(server(), () => ({ kind: 'unknown' }));
    const { account } = await at.awayUser(server());
    const sender = await at.user(server());
    await sendMessages(sender, account, 1);
    await eventually(async () => (await server().registrations(account)).length === 0);
    await sendMessages(sender, account, 3);
    expect(publishAnswers(underTest)).toEqual(['publish refused']);
  });

  it('end with a message while there is no component', async () => {
    const underTest = await at.component(server());
    const { account } = await at.awayUser(server());
    await underTest.component.stop();
    await sendMessages(await at.user(server()), account, 1);
    await eventually(async () => (await server().registrations(account)).length === 0);
  });

  it('outlive the end of one of two connections in the midst of messages', async () => {
    const [leaving, staying] = [await at.component(server()), await at.component(server())];
    const { account, address } = await at.awayUser(server());
    const sender = await at.user(server());
    const sent = sendMessages(sender, account, 200);
    await eventually(() => leaving.published.length > 20, { everyMs: 1 });
    await leaving.component.stop();
    await sent;
    const other = await at.awayUser(server());
    await sendMessages(sender, other.account, 20);
    const ofOther = () => staying.published.filter(({ node }) => node === other.address.node);
    await eventually(() => ofOther().length === 20, { what: '20 publishes on the connection that stays' });
    await answersAreRead(server(), sender);
    expect(await server().registrations(account)).toEqual([address]);
    // What ejabberd had in hand for the closing connection it drops, and holds that against nobody; all else is dealt with.
    const published = leaving.published.length + staying.published.length;
    expect(published).toBeGreaterThan(120);
    const answers = publishAnswers(leaving).length + publishAnswers(staying).length;
    expect(answers + leaving.report.lost).toBe(published);
  });
});

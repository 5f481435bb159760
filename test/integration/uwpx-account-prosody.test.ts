import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { noSummary } from '../../src/domain/publish.js';
import {
  defaultAccountOptions,
  type AccountEntry,
  type AccountOptions,
} from '../../src/uwpx/account-options.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import { AccountUnderTest } from '../simulators/uwpx-account.js';
import { describeWithProsody } from '../simulators/xmpp/describe-servers.js';
import type { ProsodyProcess } from '../simulators/xmpp/prosody-process.js';
import type { Account } from '../simulators/xmpp/real-server.js';
import { errorOf, xml, XmppUser } from '../simulators/xmpp/xmpp-client.js';
import { addDevice } from '../unit/uwpx/examples.js';

interface Recorded {
  readonly publish_important: { readonly stanza: string };
  readonly publish_unimportant: { readonly stanza: string };
}
const recorded = (
  JSON.parse(readFileSync(new URL('../vectors/xmpp-push.json', import.meta.url), 'utf8')) as {
    servers: { prosody: Recorded; ejabberd: Recorded };
  }
).servers;

const authority = createAuthority();
const directory = mkdtempSync(join(tmpdir(), 'waggle-account-'));
const certificate = authority.issueServer();
writeFileSync(join(directory, 'cert.pem'), certificate.certPem);
writeFileSync(join(directory, 'key.pem'), certificate.keyPem);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Users of another domain of the same server, where nobody asks for passwords or TLS. */
const USERS = 'users.localhost';

const settings = {
  modules: ['tls', 'pep'],
  lines: [
    // On the way to the server's own host no password goes without TLS.
    'allow_unencrypted_plain_auth = false',
    // What the test's users cannot do, we can.
    'disable_sasl_mechanisms = {}',
    `VirtualHost "${USERS}"`,
    'modules_disabled = { "tls", "pep" }',
    'allow_unencrypted_plain_auth = true',
    'authentication = "insecure"',
    `insecure_open_authentication = "Yes please, I know what I'm doing!"`,
    'VirtualHost "localhost"',
    `ssl = { certificate = "${join(directory, 'cert.pem')}", key = "${join(directory, 'key.pem')}" }`,
  ],
};

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

let users = 0;

describeWithProsody(
  'UWPX by an account',
  (server) => {
    const entryFor = (account: Account, changes: Partial<AccountEntry> = {}): AccountEntry => ({
      jid: account.jid,
      password: account.password,
      host: '127.0.0.1',
      port: server().clientPort,
      trustAnchors: [authority.certPem],
      plainOnLoopback: false,
      ...changes,
    });

    const start = (entry: AccountEntry, options: Partial<AccountOptions> = {}): AccountUnderTest => {
      const account = new AccountUnderTest(entry, options);
      stops.push(() => account.client.stop());
      account.client.start();
      return account;
    };

    const login = async (prosody: ProsodyProcess): Promise<XmppUser> => {
      users += 1;
      const account = { name: `user${users}`, password: 'any', jid: `user${users}@${USERS}` };
      const user = await XmppUser.connect({ domain: USERS, clientPort: prosody.clientPort }, account);
      stops.push(() => user.goAway().catch(() => undefined));
      return user;
    };

    /**
     * Publishes as Prosody's mod_cloud_notify was recorded to, but over a user's connection: from the very server that the
     * account is on the module's own would be refused (spec uwpx-push, 6.1).
     */
    const publish = async (
      { stanza }: { readonly stanza: string },
      node: string,
      jid: string,
    ): Promise<void> => {
      const user = await login(server());
      user.sendRaw(
        stanza
          .replace(/ from='localhost'/, '')
          .replace("to='push.localhost'", `to='${jid}'`)
          .replace("node='yxs32uqsflafdk3iuqo'", `node='${node}'`),
      );
      const answer = await user.received(({ name }) => name === 'iq', 'the answer');
      expect(errorOf(answer)).toBeNull();
    };

    it.each([
      ['TLS', false],
      ['none, from this very machine', true],
    ])('logs in with a password that does not go over the line, with %s', async (_what, plainOnLoopback) => {
      const account = await server().addAccount();
      const under = start(entryFor(account, { plainOnLoopback }));
      await under.settled();
      const log = await server().log();
      expect(log).toContain(`Authenticated as ${account.jid}`);
    });

    it('hears of messages, and of nothing else', async () => {
      const account = await server().addAccount();
      const under = start(entryFor(account));
      await under.settled();
      await addDevice(under.store, 'a');
      under.client.changed({ added: ['aNode'], removed: [] });
      await under.settled();
      expect(under.report.nodes).toEqual(['created']);
      await publish(recorded.prosody.publish_important, 'aNode', account.jid);
      await publish(recorded.ejabberd.publish_unimportant, 'aNode', account.jid);
      await eventually(() => under.events.length > 1, { what: 'the events' });
      expect(under.events).toEqual([
        { node: 'aNode', summary: { messageCount: 1, pendingSubscriptionCount: null, hasBody: true } },
        { node: 'aNode', summary: noSummary },
      ]);
      // Of the empty item, by which the node was made, the server tells as well.
      expect(under.report.messages.filter((kind) => kind === 'own').length).toBeGreaterThan(0);
    });

    it('makes all nodes with every login, those that were there before too, and hears on', async () => {
      const account = await server().addAccount();
      const under = start(entryFor(account), {
        upkeep: { ...defaultAccountOptions.upkeep, pageSize: 3, concurrency: 2 },
      });
      for (const label of 'abcdefg') await addDevice(under.store, label);
      await under.settled();
      await server().restart();
      await under.settled(2);
      expect(under.report.ends.length).toBeGreaterThan(0);
      expect(under.report.nodes.every((result) => result === 'created')).toBe(true);
      expect(under.report.nodes.length).toBeGreaterThanOrEqual(14);
      await publish(recorded.prosody.publish_unimportant, 'eNode', account.jid);
      await eventually(() => under.events.length > 0, { what: 'the event' });
      expect(under.events.map(({ node }) => node)).toEqual(['eNode']);
    });

    it('removes nodes: there is nothing left for strangers', async () => {
      const account = await server().addAccount();
      const under = start(entryFor(account));
      await addDevice(under.store, 'a');
      await under.settled();
      const user = await login(server());
      const look = xml(
        'pubsub',
        { xmlns: 'http://jabber.org/protocol/pubsub' },
        xml('items', { node: 'aNode' }),
      );
      expect(errorOf(await user.ask('get', look, account.jid))).toBeNull();
      under.client.changed({ added: [], removed: ['aNode'] });
      await eventually(() => under.report.nodes.includes('removed'), { what: 'the removal' });
      expect(errorOf(await user.ask('get', look, account.jid))).toBe('auth/forbidden');
      expect(under.report.nodes).toEqual(['created', 'removed']);
    });

    it('does not take somebody else for its server', async () => {
      const account = await server().addAccount();
      const under = start(entryFor(account));
      await under.settled();
      const liar = await login(server());
      liar.sendRaw(
        `<message type='headline' to='${account.jid}'><event xmlns='http://jabber.org/protocol/pubsub#event'>` +
          "<items node='aNode'><item id='1'><notification xmlns='urn:xmpp:push:0'/></item></items></event></message>",
      );
      await eventually(() => under.report.messages.includes('ignored'), { what: 'the message' });
      expect(under.events).toEqual([]);
    });

    it('goes on after the server was frozen, killed, and gone for a while', async () => {
      const account = await server().addAccount();
      const under = start(entryFor(account), { pingIntervalMs: 50, silenceMs: 150 });
      await under.settled();
      server().freeze();
      await eventually(() => under.report.ends.includes('silent'), { what: 'the dead link' });
      server().thaw();
      await under.settled(2);
      await server().kill();
      await eventually(() => under.report.ends.includes('unreachable'), { what: 'the absence' });
      await server().start();
      await under.settled(under.report.connects + 1);
    });

    it.each([
      ['a wrong password', { password: 'wrong' }, 'refused'],
      ['a certificate that nobody vouches for', { trustAnchors: undefined }, 'tls-failed'],
    ] as const)('does not log in with %s', async (_what, changes, end) => {
      const account = await server().addAccount();
      const under = start(entryFor(account, changes));
      await eventually(() => under.report.ends.length >= 2, { what: 'two attempts' });
      expect(new Set(under.report.ends)).toEqual(new Set([end]));
      expect(under.report.connects).toBe(0);
    });
  },
  settings,
);

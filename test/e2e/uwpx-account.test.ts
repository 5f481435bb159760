import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { createAuthority } from '../simulators/certificates.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { TestPostgres } from '../simulators/postgres.js';
import type { ServerProcess } from '../simulators/server-process.js';
import type { UwpxPushAccount } from '../simulators/uwpx-app.js';
import { describeWithProsody } from '../simulators/xmpp/describe-servers.js';
import type { ProsodyProcess } from '../simulators/xmpp/prosody-process.js';
import type { Account } from '../simulators/xmpp/real-server.js';
import { errorOf, xml, XmppUser } from '../simulators/xmpp/xmpp-client.js';
import { jsonPush, pubsubOf, UwpxScene } from './uwpx-support.js';

vi.setConfig({ testTimeout: 60_000 });

const authority = createAuthority();
const directory = mkdtempSync(join(tmpdir(), 'waggle-account-'));
const certificate = authority.issueServer();
writeFileSync(join(directory, 'ca.pem'), authority.certPem);
writeFileSync(join(directory, 'cert.pem'), certificate.certPem);
writeFileSync(join(directory, 'key.pem'), certificate.keyPem);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Users of another domain of the same server, where nobody asks for passwords or TLS. */
const USERS = 'users.localhost';
const settings = {
  modules: ['tls', 'pep'],
  lines: [
    'allow_unencrypted_plain_auth = false',
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

const JID = 'juliet@example.org';
const OTHER_JID = 'romeo@example.org';
const PUBSUB = 'http://jabber.org/protocol/pubsub';

const connects = (server: ServerProcess): Promise<number> =>
  server.metric('waggle_uwpx_account_connects_total');
const created = (server: ServerProcess): Promise<number> =>
  server.metric('waggle_uwpx_account_nodes_total{result="created"}');
const removed = (server: ServerProcess): Promise<number> =>
  server.metric('waggle_uwpx_account_nodes_total{result="removed"}');

describeWithPostgres('UWPX at an account', (postgres) => {
  describeWithProsody('of a user', (prosody) => suite(prosody, postgres), settings);
});

function suite(prosody: () => ProsodyProcess, postgres: () => TestPostgres): void {
  let scene: UwpxScene;
  let account: Account;
  let somebody: XmppUser | null = null;

  beforeAll(async () => {
    account = await prosody().addAccount();
    scene = await UwpxScene.start({
      databaseUrl: await postgres().createDatabase(),
      servers: [],
      config: {
        xmpp: { enabled: false },
        uwpx: {
          accountJid: account.jid,
          accountPassword: account.password,
          accountHost: '127.0.0.1',
          accountPort: prosody().clientPort,
          accountCaFile: join(directory, 'ca.pem'),
        },
      },
    });
  });
  afterEach(async () => {
    await somebody?.vanish();
    somebody = null;
  });
  afterAll(() => scene.close());

  /** Somebody of another domain: users' servers publish as they do. */
  async function stranger(): Promise<XmppUser> {
    const at = { domain: USERS, clientPort: prosody().clientPort };
    somebody ??= await XmppUser.connect(at, {
      name: 'somebody',
      password: 'any',
      jid: `somebody@${USERS}`,
    });
    return somebody;
  }

  /** As the server of a user does it (spec uwpx-push, 6.1), over a connection of another user. */
  async function publish(to: UwpxPushAccount, summary = { 'message-count': '1' }): Promise<string> {
    const user = await stranger();
    const before = user.stanzas.length;
    user.sendRaw(
      `<iq type='set' to='${to.jid}' id='publish-${before}'>${pubsubOf({ node: to.node }, summary)}</iq>`,
    );
    const answer = await user.received((stanza) => stanza.attribute('id') === `publish-${before}`);
    return errorOf(answer) ?? 'result';
  }

  /** Null: it is there. */
  async function lackOf({ jid, node }: UwpxPushAccount): Promise<string | null> {
    const look = xml('pubsub', { xmlns: PUBSUB }, xml('items', { node }));
    return errorOf(await (await stranger()).ask('get', look, jid));
  }

  const untilThere = (node: UwpxPushAccount): Promise<unknown> =>
    eventually(async () => (await lackOf(node)) === null, { what: 'the node' });

  it('a publish to a node of the account wakes the device, and its making does not', async () => {
    const app = scene.app();
    const [mine, other] = await app.register(JID, OTHER_JID);
    expect(mine.jid).toBe(account.jid);
    await untilThere(mine);
    await untilThere(other);
    expect(scene.arrived(app)).toEqual([]);
    expect(await publish(mine, { 'message-count': '4' })).toBe('result');
    await scene.untilWoken(app, 1);
    expect(await publish(other)).toBe('result');
    await scene.untilWoken(app, 2);
    expect(scene.texts(app)).toEqual([
      jsonPush(app.accountId(JID), 4),
      jsonPush(app.accountId(OTHER_JID), 1),
    ]);
    // The same list again: nothing is made, nothing is lost.
    expect(await app.setAccounts(JID, OTHER_JID)).toEqual([mine, other]);
    expect(await publish(mine)).toBe('result');
    await scene.untilWoken(app, 3);
  });

  it('the node of an account that is not named again is removed', async () => {
    const app = scene.app();
    const [mine, other] = await app.register(JID, OTHER_JID);
    await untilThere(mine);
    await untilThere(other);
    expect(await app.setAccounts(OTHER_JID)).toEqual([other]);
    await eventually(async () => (await lackOf(mine)) !== null, { what: 'the removal' });
    expect(await publish(mine)).not.toBe('result');
    expect(await publish(other)).toBe('result');
    await scene.untilWoken(app, 1);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('after a %s of ours the nodes work as before', async (signal) => {
    const app = scene.app();
    const [mine] = await app.register(JID);
    await untilThere(mine);
    const late = scene.app();
    const [unmade] = await late.register(JID);
    await scene.server.kill(signal);
    // Nobody hears this one: the server was told that it was taken.
    expect(await publish(mine)).toBe('result');
    await scene.server.restart();
    await eventually(async () => (await connects(scene.server)) === 1, { what: 'the login' });
    await untilThere(unmade);
    await eventually(async () => (await created(scene.server)) >= 2);
    expect(await publish(mine)).toBe('result');
    await scene.untilWoken(app, 1);
    expect(await publish(unmade)).toBe('result');
    await scene.untilWoken(late, 1);
  });

  it('what is registered while the XMPP server is away is there when it is back, and what is given up is not', async () => {
    const [app, late] = [scene.app(), scene.app()];
    const [mine, old] = await app.register(JID, OTHER_JID);
    await untilThere(old);
    await somebody?.vanish();
    somebody = null;
    const logins = await connects(scene.server);
    await prosody().kill();
    const [unmade] = await late.register(JID);
    await app.setAccounts(JID);
    await prosody().start();
    await eventually(async () => (await connects(scene.server)) > logins, {
      timeoutMs: 30_000,
      what: 'a login',
    });
    await untilThere(unmade);
    await eventually(async () => (await lackOf(old)) !== null, { what: 'the removal' });
    for (const [one, node] of [
      [app, mine],
      [late, unmade],
    ] as const) {
      expect(await publish(node)).toBe('result');
      await scene.untilWoken(one, 1);
    }
  });

  it('of two processes one uses the account, whoever was registered with; the other takes over', async () => {
    const another = await scene.startAnother();
    const [app, elsewhere] = [scene.app(), scene.app('v2', another)];
    const [mine] = await app.register(JID);
    const [theirs] = await elsewhere.register(OTHER_JID);
    for (const [one, node] of [
      [app, mine],
      [elsewhere, theirs],
    ] as const) {
      await untilThere(node);
      expect(await publish(node)).toBe('result');
      await scene.untilWoken(one, 1);
    }
    expect([(await connects(scene.server)) > 0, await connects(another)]).toEqual([true, 0]);

    await scene.server.kill('SIGKILL');
    await eventually(async () => (await connects(another)) === 1, {
      timeoutMs: 20_000,
      what: 'the other one',
    });
    await eventually(async () => (await created(another)) >= 2);
    for (const [one, node] of [
      [app, mine],
      [elsewhere, theirs],
    ] as const) {
      expect(await publish(node)).toBe('result');
      await scene.untilWoken(one, 2);
    }
    expect(await removed(another)).toBe(0);

    // Back again, and the database gone for a moment: whoever uses the account then, it is one of them.
    await scene.server.restart();
    await postgres().restart();
    for (const server of [scene.server, another]) await server.ready();
    const before = scene.arrived(app).length;
    let published = 0;
    // One that comes while they change places is lost, as its server was told already.
    await eventually(
      async () => {
        if ((await publish(mine)) === 'result') published += 1;
        return scene.arrived(app).length >= before + 3;
      },
      { timeoutMs: 30_000, everyMs: 100, what: 'three pushes after all that' },
    );
    expect(scene.arrived(app).length - before).toBeLessThanOrEqual(published);
  });

  it('the log holds neither the account nor its password, and no node', async () => {
    const app = scene.app();
    const [mine] = await app.register(JID);
    await untilThere(mine);
    await publish(mine);
    await scene.untilWoken(app, 1);
    const said = scene.server.output() + (await scene.server.metricsText());
    expect(said).toContain('UWPX: the account is online');
    const { jid, password } = account;
    for (const secret of [jid, password, mine.node, mine.secret, app.deviceId, app.channel.slice(-20), JID])
      expect(said).not.toContain(secret);
  });
}

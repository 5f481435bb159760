import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { p2Hash } from '../../src/xmpp/identifiers.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { fcmError } from '../simulators/providers/fcm-stand-in.js';
import { describeWithProsody } from '../simulators/xmpp/describe-servers.js';
import { PushDevice, type DeviceWord } from '../simulators/xmpp/push-device.js';
import { errorOf } from '../simulators/xmpp/xmpp-client.js';
import { XmppServer, type ServerConnection } from '../simulators/xmpp/xmpp-server.js';
import { Secrets } from './secrets.js';
import { withDatabase } from './support.js';
import {
  askAppServer,
  publishAnswers,
  untilArrived,
  XmppScene,
  type Away,
  type Way,
} from './xmpp-support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const hex = (bytes = 16): string => randomBytes(bytes).toString('hex');

const component = { domain: 'push.localhost', secret: hex() };
/** Another one, whose server says what it likes. */
const strange = { domain: 'push.example', secret: hex() };

describeWithPostgres('a whole run with XMPP servers at the most talkative level', (postgres) => {
  describeWithProsody(
    'logs and metrics',
    (real) => {
      const secrets = new Secrets();
      let scene: XmppScene;
      let simulated: XmppServer;
      let databaseUrl: string;

      beforeAll(async () => {
        databaseUrl = await postgres().createDatabase();
        simulated = await XmppServer.start({ secrets: { [strange.domain]: strange.secret } });
        scene = await XmppScene.start(real(), {
          databaseUrl,
          also: [{ kind: 'simulated', componentPort: simulated.port, component: strange }],
          config: {
            log: { level: 'trace' },
            xmpp: { writePatienceMs: 500, answerTimeoutSeconds: 2, maxStanzaChars: 20_000 },
            database: { statementTimeoutMs: 1000, connectTimeoutMs: 1000 },
            shutdown: { drainSeconds: 1 },
          },
          env: { WAGGLE_NOTIFIERS__APNS__REQUEST_TIMEOUT_MS: '1000' },
        });
        await rememberKeys();
      });
      afterAll(async () => {
        await scene.close();
        await simulated.stop();
      });

      async function rememberKeys(): Promise<void> {
        const { directory, configFile } = scene.world;
        for (const name of ['server.x25519', 'onion.x25519', 'registrations.key']) {
          const key = await readKeyFile(join(directory, 'keys', name));
          if (!key.ok) throw new Error('the server makes its keys at its first start');
          secrets.bytes(name, key.value.secretKey);
        }
        for (const { secret } of [component, strange]) secrets.text('component secret', secret);
        const { notifiers } = parse(await readFile(configFile, 'utf8')) as {
          readonly notifiers: Readonly<Record<string, Readonly<Record<string, string>>>>;
        };
        secrets.text('app secret', notifiers['huawei']?.['appSecret'] ?? '');
        secrets.text('client secret', notifiers['wns']?.['clientSecret'] ?? '');
        const p8 = await readFile(join(directory, 'apns.p8'), 'utf8');
        secrets.text('APNs key', p8.split('\n')[1] ?? '');
        const firebase = JSON.parse(await readFile(join(directory, 'firebase.json'), 'utf8')) as {
          readonly private_key: string;
        };
        secrets.text('Firebase key', firebase.private_key.split('\n')[2] ?? '');
      }

      function newDevice(type: DeviceWord): PushDevice {
        const device = PushDevice.create(scene.world, type);
        secrets.text(`token of ${type}`, device.token);
        secrets.text('node', device.node);
        if (type === 'apns') secrets.bytes('token', Buffer.from(device.token, 'hex'));
        return device;
      }

      function text(): string {
        const made = `meet me at ${hex()}`;
        secrets.text('body', made);
        return made;
      }

      async function away(type: DeviceWord = 'apns', way: Way = 'command', given = {}): Promise<Away> {
        const account = await real().addAccount(`somebody${hex(8)}`);
        secrets.text('account', account.jid);
        const device = newDevice(type);
        secrets.text('hash of a p2 device', p2Hash(account.jid, device.node));
        const user = await scene.user(account);
        const address = { ...(await scene.register(user, device, way)), ...given };
        secrets.text('secret', address.secret);
        secrets.text('node', address.node);
        if (/^[0-9a-f]{64}$/.test(address.secret))
          secrets.bytes('secret', Buffer.from(address.secret, 'hex'));
        await user.enablePush(address);
        await user.goAway();
        return { account, device, address };
      }

      const ask = (request: 'register' | 'unregister' | 'push', fields: Record<string, string>) =>
        askAppServer(scene.server, request, fields);

      it('say nothing about anybody, whatever happens', async () => {
        await everydayLife();
        await providersSayAllSorts();
        await clientsSayAllSorts();
        await serversSayAllSorts(await simulated.nthOnline(1));
        await databaseSaysAllSorts();
        await restarts();

        const operators = await Promise.all(
          ['/metrics', '/stats', '/readyz', '/livez', '/notifiers', '/devices/deleted'].map(async (path) =>
            (await fetch(scene.server.adminAddress + path)).text(),
          ),
        );
        const last = await away();
        const { apns, fcm, hms, wns } = scene.world;
        apns.answers.standing = { instead: 'hang' };
        const { requests } = apns;
        await scene.send(last, text());
        await eventually(() => apns.requests > requests);
        expect(await scene.server.kill('SIGTERM')).toEqual({ code: 0, signal: null });

        for (const { headers } of [...apns.pushes, ...fcm.pushes, ...hms.pushes, ...wns.pushes])
          secrets.text('access token', String(headers.authorization).replace(/^bearer /i, ''));
        const said = scene.server.output();
        expect(said.split('\n').length).toBeGreaterThan(10);
        expect(secrets.foundIn(said)).toEqual([]);
        expect(secrets.foundIn(operators.join('\n'))).toEqual([]);

        // The search finds what is there.
        expect(secrets.count).toBeGreaterThan(300);
        expect([...secrets.control()].filter((line) => secrets.foundIn(line).length === 0)).toEqual([]);
        expect(secrets.foundIn(said + JSON.stringify(last))).not.toEqual([]);
      });

      async function everydayLife(): Promise<void> {
        const all = [
          await away('apns'),
          await away('fcm'),
          await away('fcm', 'p2'),
          await away('huawei', 'http'),
          await away('wns', 'http'),
          await away('webpush'),
          await away('unifiedpush', 'http'),
        ];
        for (const one of all) await scene.send(one, text(), null);
        for (const one of all) await untilArrived(one, 2);
        const wrong = [
          await away('apns', 'command', { secret: hex(32) }),
          await away('apns', 'command', { node: `nobody-${hex()}` }),
        ];
        const refused = await publishAnswers(scene.server, 'refused');
        for (const one of wrong) await scene.send(one, text());
        await eventually(async () => (await publishAnswers(scene.server, 'refused')) === refused + 2);
        for (const { device, address } of all) {
          const { type, node } = device;
          // p2's are for their account's server alone.
          const isOpen = address.node === node;
          const { lines } = await ask('push', { node: address.node, secret: address.secret });
          expect(lines[0]).toBe(isOpen ? 'OK' : 'ERROR');
          await ask('unregister', { type, node });
          await ask('push', { node: address.node, secret: address.secret });
        }
      }

      async function providersSayAllSorts(): Promise<void> {
        const { apns, fcm } = scene.world;
        const [iphone, dead, android] = [await away('apns'), await away('apns'), await away('fcm')];
        apns.answers.forToken(dead.device.token, {
          status: 410,
          body: { reason: 'Unregistered', timestamp: Date.now() + 60_000 },
        });
        await scene.send(dead, text());
        await eventually(
          async () =>
            (await scene.server.metric('waggle_xmpp_device_changes_total{change="dead-token"}')) === 1,
        );
        const { token } = iphone.device;
        for (const trouble of [
          { status: 400, body: { reason: token } },
          { status: 400, body: `{"reason":"${token}` },
          { status: 500, body: { reason: iphone.address.node } },
          { status: 418, body: token },
          { instead: 'reset' },
          { instead: 'goaway' },
        ] as const) {
          const before = [apns.requests, fcm.requests];
          apns.answers.next(trouble);
          fcm.answers.next(fcmError(400, 'INVALID_ARGUMENT', null, { message: android.device.token }));
          await scene.send(iphone, text());
          await scene.send(android, text());
          await eventually(() => apns.requests > (before[0] ?? 0) && fcm.requests > (before[1] ?? 0));
        }
      }

      async function clientsSayAllSorts(): Promise<void> {
        const { server } = scene;
        const { node, token } = newDevice('apns');
        const secret = hex(32);
        secrets.text('secret', secret);
        const user = await scene.user(await real().addAccount(`somebody${hex(8)}`));
        secrets.text('account', user.account.jid);
        const { domain } = component;
        const long = `long-${hex(600)}`;
        secrets.text('long', long);
        for (const [command, fields] of [
          ['v1-register-push', { type: token.slice(0, 32), node, token }],
          ['v1-register-push', { type: 'apns', node: long.repeat(4), token }],
          ['v1-register-push', { type: 'apns', node, token: long }],
          ['v1-register-push', { type: 'webpush', node, token: `{"endpoint":"https://${token}/` }],
          ['v1-register-push', { type: 'wns', node, token: `https://example.org/?token=${token}` }],
          ['v1-register-push', { token }],
          ['v1-unregister-push', { type: 'apns', node }],
          ['register-push-fcm', { 'device-id': node, token, muc: `${user.account.jid}/${node}` }],
          [token, { node }],
        ] as const) {
          expect(errorOf(await user.command(domain, command, fields))).not.toBeNull();
        }
        await ask('register', { type: token, node, token });
        await ask('register', { type: 'apns', node: long.repeat(4), token });
        await ask('push', { node, secret });
        const base = `${server.httpAddress}/push_appserver`;
        for (const [path, body, type] of [
          ['/v1/register', `type=apns&node=${node}&token=%zz${token}`, 'application/x-www-form-urlencoded'],
          ['/v1/register', token, 'text/plain'],
          ['/v2/register', `{"type":"apns","node":"${node}","token":"${token}`, 'application/json'],
          ['/v2/push', JSON.stringify({ node, secret: { secret } }), 'application/json'],
          [`/v1/settings/${node}`, '', 'text/plain'],
          [`/v3/${token}`, token, 'text/plain'],
        ] as const) {
          const headers = { 'content-type': type };
          await (await fetch(base + path, { method: 'POST', headers, body })).text();
        }
        for (const path of [`/v1/settings/${node}`, `/v1/push?node=${node}&secret=${secret}`, `/${token}`])
          await (await fetch(base + path)).text();
      }

      async function serversSayAllSorts(connection: ServerConnection): Promise<void> {
        const secret = hex(32);
        const node = `node-${hex()}`;
        const domain = `${hex(8)}.example`;
        for (const made of [secret, node, domain]) secrets.text('said by a server', made);
        const form = (fields: string): string =>
          `<publish-options><x xmlns='jabber:x:data' type='submit'>${fields}</x></publish-options>`;
        const field = `<field var='secret'><value>${secret}</value></field>`;
        const item = `<item><notification xmlns='urn:xmpp:push:0'/></item>`;
        const pubsub = (inner: string): string =>
          `<pubsub xmlns='http://jabber.org/protocol/pubsub'>${inner}</pubsub>`;
        const publish = pubsub(`<publish node='${node}'>${item}</publish>${form(field)}`);
        let count = 0;
        for (const payload of [
          publish,
          pubsub(`<publish node='${node}'>${item}</publish>`),
          pubsub(`<publish node='${node}'/>${form(field)}`),
          pubsub(`<publish>${item}</publish>${form(field)}`),
          pubsub(`<publish node='${node.repeat(200)}'>${item}</publish>${form(field)}`),
          `<${node} xmlns='${secret}'/>`,
          publish + publish,
          '',
        ]) {
          for (const type of ['set', 'get', node]) {
            count += 1;
            const answer = await connection.ask(
              `<iq type='${type}' from='${domain}' to='${strange.domain}' id='${secret}-${count}'>${payload}</iq>`,
            );
            expect(answer.attribute('type')).toBe('error');
          }
        }
        connection.write(
          `<message from='${node}@${domain}' to='${strange.domain}'><body>${secret}</body></message>`,
        );
        connection.write(`<presence from='${node}@${domain}' to='${strange.domain}/${secret}'/>`);
        connection.write(`<iq type='set' from='${domain}' to='${strange.domain}'>${publish}</iq>`);
        connection.write(`<iq type='set' from='@${node}@@' to='${strange.domain}' id='x'>${publish}</iq>`);
        // Too long: passed over.
        connection.write(
          `<iq type='set' from='${domain}' to='${strange.domain}' id='long'>${pubsub(secret.repeat(400))}</iq>`,
        );
        // Every way to end a stream, with something secret in its last words.
        const ends = [
          `<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>${secret}</text></stream:error></stream:stream>`,
          `<stream:error><${node} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`,
          `<iq from='${domain}' id='${secret}'><not-closed></iq>`,
          `<iq from='${domain}' secret='${secret}' secret='${node}'/>`,
          `<!DOCTYPE ${node} [<!ENTITY e '${secret}'>]>`,
          `<message from='${domain}'><body>${secret.repeat(10_000)}</body></message>`,
        ];
        for (const [index, end] of ends.entries()) {
          const present = await simulated.nthOnline(index + 1);
          present.write(end);
          await eventually(() => present.state === 'closed', { what: `the end by ${end.slice(0, 40)}` });
        }
        await simulated.nthOnline(ends.length + 1);
      }

      async function databaseSaysAllSorts(): Promise<void> {
        const { server } = scene;
        // It refuses a row, and quotes it; then it is away.
        const alter = (sql: string): Promise<void> =>
          withDatabase({ url: databaseUrl, dataDir: '' }, (database) =>
            database.transaction((transaction) => transaction.script(sql)),
          );
        const known = await away('apns');
        const { type, node, token } = newDevice('fcm');
        await alter(`ALTER TABLE xmpp_devices ADD CONSTRAINT no_more CHECK (type <> 'fcm') NOT VALID`);
        expect((await ask('register', { type, node, token })).status).toBe(503);
        await alter('ALTER TABLE xmpp_devices DROP CONSTRAINT no_more');
        await postgres().stop();
        expect((await ask('register', { type, node, token })).status).toBe(503);
        expect((await ask('push', { node, secret: token })).lines[0]).toBe('ERROR');
        await scene.send(known, text());
        await untilArrived(known, 1);
        await postgres().start();
        await server.ready();
        await eventually(async () => (await ask('register', { type, node, token })).status === 200);
        expect(server.output()).toContain('devices of XMPP users: something failed');
      }

      async function restarts(): Promise<void> {
        const { server } = scene;
        const known = await away('apns');
        await real().kill();
        await eventually(async () => (await server.metric('waggle_xmpp_connections')) === 1);
        await real().start();
        await eventually(async () => (await server.metric('waggle_xmpp_connections')) === 2);
        await scene.usersLeave();
        await server.restart();
        await eventually(async () => (await server.metric('waggle_xmpp_connections')) === 2);
        await scene.send(known, text());
        await untilArrived(known, 1);
      }
    },
    {
      components: [component],
      lines: ['push_notification_with_body = true', 'push_notification_with_sender = true'],
    },
  );
});

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { wnsAnswer } from '../simulators/providers/wns-stand-in.js';
import { newChannel } from '../simulators/uwpx-app.js';
import { bareJidHash, UwpxPythonFile, uwpxNode, uwpxSecret } from '../simulators/uwpx-python-files.js';
import { waggle } from './legacy-support.js';
import { Secrets } from './secrets.js';
import { withDatabase } from './support.js';
import { UwpxScene } from './uwpx-support.js';

vi.setConfig({ testTimeout: 60_000 });

const JID = 'juliet@secret-domain.example';
const OTHER_JID = 'romeo@secret-domain.example';
const UNKNOWN = 'cancel/item-not-found';
const DAY_MS = 86_400_000;
const failed = 'Internal server error... Failed to process received JSON message.';

describeWithPostgres('UWPX over the years', (postgres) => {
  let scene: UwpxScene;
  afterEach(() => scene.close());

  it('who is not seen any more is removed, and who lost its channel for too long; who was imported is there', async () => {
    const databaseUrl = await postgres().createDatabase();
    scene = await UwpxScene.start({
      databaseUrl,
      config: { uwpx: { cleanUpSeconds: 1, outdatedDays: 10, lostChannelGraceDays: 2 } },
    });
    const [idle, lost, pushed, present] = [scene.app(), scene.app(), scene.app(), scene.app()];
    const [ofIdle] = await idle.register(JID);
    const [ofLost] = await lost.register(JID);
    const [ofPushed] = await pushed.register(JID);
    const [ofPresent] = await present.register(JID);
    scene.world.wns.forChannel(lost.channel, wnsAnswer(410));
    expect(await scene.publish(ofLost)).toMatch(/^wait\//);
    const ageing = (deviceId: string, column: string, days: number): string =>
      `UPDATE uwpx_devices SET ${column} = ${column} - ${days * DAY_MS} WHERE device_id = '${deviceId}';`;
    await withDatabase({ url: databaseUrl, dataDir: '' }, (database) =>
      database.transaction((transaction) =>
        transaction.script(
          ageing(pushed.deviceId, 'active_at_ms', 9) +
            ageing(idle.deviceId, 'active_at_ms', 11) +
            ageing(lost.deviceId, 'channel_lost_at_ms', 3),
        ),
      ),
    );
    await eventually(async () => (await scene.server.metric('waggle_uwpx_outdated_total')) === 2, {
      timeoutMs: 20_000,
      what: 'the removal of two devices',
    });
    for (const gone of [ofIdle, ofLost]) expect(await scene.publish(gone)).toBe(UNKNOWN);
    for (const gone of [idle, lost])
      expect(await gone.requestTestPush()).toMatchObject({ error: 'Device id unknown.' });
    for (const [app, account] of [
      [pushed, ofPushed],
      [present, ofPresent],
    ] as const) {
      expect(await scene.publish(account)).toBe('result');
      await scene.untilWoken(app, 1);
    }
    // Who comes back begins anew.
    const [again] = await idle.register(JID);
    expect(again.node).not.toBe(ofIdle.node);
    expect(await scene.publish(again)).toBe('result');
    await scene.untilWoken(idle, 1);

    // From the first generation, into the running server: woken by the node and secret of then.
    const imported = scene.app('v1-py');
    const file = await UwpxPythonFile.create();
    const hash = bareJidHash(imported.deviceId, JID);
    file.addAccount(file.setChannel(imported.deviceId, imported.channel), hash, {
      domain: 'secret-domain.example',
    });
    const path = await file.write(join(scene.world.directory, 'push.db'));
    const done = await waggle(scene.world.configFile, scene.server, 'import', 'uwpx', path);
    expect(done).toMatchObject({ code: 0 });
    const account = { jid: 'push@push.example', node: uwpxNode(hash), secret: uwpxSecret(hash) };
    expect(await scene.publish({ ...account, secret: uwpxSecret('another') })).toBe(UNKNOWN);
    expect(await scene.publish(account)).toBe('result');
    await scene.untilWoken(imported, 1);
    expect(scene.texts(imported)[0]).toContain(`<account id="${hash}"/>`);
    // UWPX of today finds the account that it had.
    const [same] = await imported.setAccounts(JID);
    expect(same).toEqual({ ...account, jid: 'push.example' });
  });

  it('one address brings so many new devices and messages, and those that are known go on', async () => {
    scene = await UwpxScene.start({
      databaseUrl: await postgres().createDatabase(),
      config: {
        http: { rateLimitExempt: [] },
        uwpx: {
          ...{ newDevicesBurst: 3, newDevicesPerHour: 1, maxAccountsPerDevice: 2 },
          ...{ messagesBurst: 40, messagesPerMinute: 1, testPushesBurst: 2, testPushesPerHour: 1 },
        },
      },
    });
    const apps = Array.from({ length: 4 }, () => scene.app());
    const [first, , , fourth] = apps;
    if (first === undefined || fourth === undefined) throw new Error('four of them');
    const answers = [];
    for (const app of apps) answers.push(await app.setChannel());
    expect(answers.map(({ status, error }) => error ?? status)).toEqual([1, 1, 1, failed]);
    expect(await fourth.askForAccounts([JID])).toMatchObject({ error: 'Device id unknown.' });
    first.renewChannel();
    expect(await first.setChannel()).toMatchObject({ status: 1 });
    const { accounts } = await first.askForAccounts([JID, OTHER_JID, 'third@too.many']);
    expect(accounts?.map((account) => account['account_id'])).toEqual(
      [JID, OTHER_JID].map((jid) => first.accountId(jid)),
    );
    const [account] = await first.setAccounts(JID);

    const tests = [];
    for (let n = 0; n < 3; n += 1) tests.push((await first.requestTestPush()).status);
    expect(tests).toEqual([1, 1, 0]);

    await eventually(async () => (await first.setChannel()).error === failed, { everyMs: 1 });
    // That is about clients alone.
    expect(await scene.publish(account)).toBe('result');
    await scene.untilWoken(first, 3);
    const messages = (kind: string): Promise<number> =>
      scene.server.metric(`waggle_uwpx_messages_total{${kind}}`);
    expect(await messages('request="unknown",result="limited"')).toBeGreaterThan(0);
    expect(await messages('request="set-channel",result="limited"')).toBe(1);
  });

  it('neither log nor metrics say anything about anybody, at the most talkative level', async () => {
    const databaseUrl = await postgres().createDatabase();
    scene = await UwpxScene.start({
      databaseUrl,
      config: {
        log: { level: 'trace' },
        database: { statementTimeoutMs: 1000, connectTimeoutMs: 1000 },
        uwpx: { cleanUpSeconds: 1, testPushesBurst: 3, answerTimeoutMs: 2000 },
      },
    });
    const secrets = new Secrets();
    const { notifiers } = parse(await readFile(scene.world.configFile, 'utf8')) as {
      readonly notifiers: { readonly wns: { readonly clientSecret: string } };
    };
    secrets.text('client secret', notifiers.wns.clientSecret);
    for (const name of ['server.x25519', 'onion.x25519', 'registrations.key']) {
      const key = await readKeyFile(join(scene.world.directory, 'keys', name));
      if (!key.ok) throw new Error('the server makes its keys at its first start');
      secrets.bytes(name, key.value.secretKey);
    }

    for (const generation of ['v2', 'v1-cpp', 'v1-py'] as const) {
      const app = scene.app(generation);
      const note = (): void => secrets.text('channel', new URL(app.channel).search);
      note();
      secrets.bytes('device', Buffer.from(app.deviceId, 'hex'));
      secrets.text('JID', JID);
      secrets.text('JID', OTHER_JID);
      for (const jid of [JID, OTHER_JID]) secrets.bytes('account id', Buffer.from(app.accountId(jid), 'hex'));
      const accounts = await app.register(JID, OTHER_JID);
      for (const { node, secret } of accounts) {
        secrets.text('node', node);
        secrets.text('secret', secret);
      }
      const [mine, other] = accounts;
      const summary = {
        'message-count': '1',
        'last-message-sender': `romeo@${randomBytes(12).toString('hex')}.example`,
        'last-message-body': randomBytes(24).toString('hex'),
      };
      for (const [name, text] of Object.entries(summary)) secrets.text(name, text);
      expect(await scene.publish(mine, summary)).toBe('result');
      await app.requestTestPush();

      // What is wrong, with secrets where the words should be.
      await scene.publish({ ...mine, secret: other.secret }, summary);
      await scene.publish({ ...mine, node: mine.secret }, summary);
      await scene.publish({ jid: mine.jid, node: mine.node }, summary);
      for (const message of [
        { action: app.channel, device_id: app.deviceId },
        {
          action: 'set_channel_uri',
          device_id: app.deviceId,
          channel_uri: `${app.channel}&x=${mine.secret}`,
        },
        { action: 'set_channel_uri', device_id: app.deviceId.repeat(9), channel_uri: app.channel },
        { action: 'set_push_accounts', device_id: [app.deviceId], accounts: mine },
        { action: 'set_push_accounts', device_id: app.deviceId, accounts: [{ account_id: [JID] }] },
        { action: 'request_test_push', device_id: mine.secret },
        { action: 'response', device_id: app.deviceId, error: mine.secret },
      ])
        expect(await app.request(message)).toMatchObject({ status: 0 });
      await app.exchange(`{"device_id":"${app.deviceId}","secret":"${mine.secret}\0`);

      // All that WNS may say.
      for (const answer of [
        wnsAnswer(403, { 'x-wns-error-description': app.channel }),
        wnsAnswer(418, { 'x-wns-status': mine.secret }, app.deviceId),
        { status: 500, body: app.channel },
        { status: 200, headers: { 'x-wns-status': app.deviceId } },
        { instead: 'garbage' as const },
        wnsAnswer(406, {}, 'channelthrottled'),
        wnsAnswer(410),
      ]) {
        const { requests } = scene.world.wns.http;
        scene.world.wns.http.next(answer);
        await scene.publish(mine, summary);
        await eventually(() => scene.world.wns.http.requests > requests);
        app.channel = newChannel();
        note();
        await app.setChannel();
      }
      await app.setAccounts(OTHER_JID);
      await app.requestTestPush();
    }
    await postgres().stop();
    try {
      const app = scene.app();
      secrets.bytes('device', Buffer.from(app.deviceId, 'hex'));
      secrets.text('channel', new URL(app.channel).search);
      expect(await app.setChannel()).toMatchObject({ error: failed });
      await scene.publish({ jid: 'push.example', node: app.deviceId, secret: app.deviceId });
    } finally {
      await postgres().start();
    }
    await scene.server.ready();
    const operators = await Promise.all(
      ['/metrics', '/stats', '/readyz', '/notifiers', '/devices/deleted'].map(async (path) =>
        (await fetch(scene.server.adminAddress + path)).text(),
      ),
    );
    expect(await scene.server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    for (const { headers } of scene.world.wns.pushes)
      secrets.text('access token', String(headers.authorization).replace(/^bearer /i, ''));
    const said = scene.server.output();
    expect(said).toContain('UWPX: a message could not be processed');
    expect(secrets.foundIn(said)).toEqual([]);
    expect(secrets.foundIn(operators.join('\n'))).toEqual([]);

    // The search finds what is there.
    expect(secrets.count).toBeGreaterThan(50);
    expect([...secrets.control()].filter((line) => secrets.foundIn(line).length === 0)).toEqual([]);
  });
});

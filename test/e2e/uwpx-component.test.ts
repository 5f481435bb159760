import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { TestPostgres } from '../simulators/postgres.js';
import { wnsAnswer } from '../simulators/providers/wns-stand-in.js';
import type { UwpxAnswer } from '../simulators/uwpx-app.js';
import { withDatabase } from './support.js';
import { jsonPush, UwpxScene } from './uwpx-support.js';

vi.setConfig({ testTimeout: 60_000 });

const JID = 'juliet@example.org';
const OTHER_JID = 'romeo@example.org';

const UNKNOWN = 'cancel/item-not-found';

const succeeded = { status: 1, version: 2, action: 'response' };
const refused = (error: string) => ({ status: 0, version: 2, action: 'response', error });
const failedText = 'Internal server error... Failed to process received JSON message.';

const BAD_CHANNEL = "Invalid channel URI. Has to use the domain 'notify.windows.com'.";
const channelMessage = (uri: string): string =>
  `{"action":"set_channel_uri","version":2,"device_id":"d","channel_uri":"${uri}"}`;

/** What is said to what, to the letter: older apps show it in their logs. */
const refusals: readonly (readonly [error: string, message: string])[] = [
  ['Malformed JSON.', 'hello'],
  ['Malformed JSON.', '[]'],
  ['Malformed JSON.', '{"version":2}'],
  ['Malformed JSON.', '{"action":"register_push","version":2}'],
  ['Malformed JSON.', '{"action":"set_channel_uri","version":"2","device_id":"d","channel_uri":"c"}'],
  ['Malformed JSON.', `{"action":"${'x'.repeat(70_000)}`],
  ['Invalid JSON message.', '{"action":"set_channel_uri","version":2,"device_id":"d"}'],
  ['Invalid JSON message.', '{"action":"set_push_accounts","version":3,"device_id":"d","accounts":[]}'],
  ['Invalid JSON message.', '{"action":"request_test_push","version":2,"device_id":""}'],
  ['Device id unknown.', '{"action":"set_push_accounts","version":2,"device_id":"d","accounts":[]}'],
  ['Device id unknown.', '{"action":"request_test_push","version":1,"device_id":"d"}'],
  ['Unsupported message type.', '{"action":"response","version":2,"status":1}'],
  [BAD_CHANNEL, channelMessage('ms-app://s-1-15-2-1')],
  [BAD_CHANNEL, channelMessage('http://a.notify.windows.com/?token=a')],
  [BAD_CHANNEL, channelMessage('https://a.b.notify.windows.com/?token=a')],
];

function sceneFor(databaseUrl: () => Promise<string | null>): () => UwpxScene {
  let scene: UwpxScene | null = null;
  beforeAll(async () => {
    scene = await UwpxScene.start({
      databaseUrl: await databaseUrl(),
      config: {
        database: { statementTimeoutMs: 1000, connectTimeoutMs: 1000 },
        uwpx: { answerTimeoutMs: 3000 },
      },
    });
  });
  afterAll(() => scene?.close());
  return () => {
    if (scene === null) throw new Error('the scene is set before the first test');
    return scene;
  };
}

/** On every database. */
function essentials(at: () => UwpxScene): void {
  let scene: UwpxScene;
  beforeAll(() => {
    scene = at();
  });

  it('a message becomes one raw notification, with the counts that the server tells', async () => {
    const app = scene.app();
    const [mine, other] = await app.register(JID, OTHER_JID);
    expect(mine.jid).toBe('push.example');
    expect(mine.node).toMatch(/^[0-9A-Za-z]{15}$/);
    expect(mine.secret).toMatch(/^[0-9A-Za-z]{32}$/);
    const summaries = [
      [{ 'message-count': '1' }, 1, 0],
      [{ 'message-count': '3', 'pending-subscription-count': '2' }, 3, 2],
      [{ 'message-count': 'many', 'pending-subscription-count': '' }, 0, 0],
      [{}, 0, 0],
    ] as const;
    for (const [index, [summary]] of summaries.entries()) {
      expect(await scene.publish(mine, summary)).toBe('result');
      await scene.untilWoken(app, index + 1);
    }
    expect(scene.texts(app)).toEqual(
      summaries.map(([, messages, subscriptions]) => jsonPush(app.accountId(JID), messages, subscriptions)),
    );
    const [push] = scene.arrived(app);
    expect(push?.headers).toMatchObject({
      'x-wns-type': 'wns/raw',
      'content-type': 'application/octet-stream',
      'content-length': String(Buffer.byteLength(push?.text ?? '')),
      'x-wns-cache-policy': 'cache',
    });

    expect(await scene.publish(other)).toBe('result');
    await scene.untilWoken(app, summaries.length + 1);
    expect(scene.texts(app).at(-1)).toBe(jsonPush(app.accountId(OTHER_JID), 1));
  });

  it('what was answered outlives a kill -9', async () => {
    const [app, waiting, halfWay] = [scene.app(), scene.app('v1-py'), scene.app()];
    const [account] = await app.register(JID);
    const [late] = await waiting.register(OTHER_JID);
    // A push that is accepted and cannot be delivered yet, and registrations in the very last moment.
    scene.world.wns.http.standing = wnsAnswer(503);
    expect(await scene.publish(late)).toBe('result');
    expect(scene.arrived(waiting)).toEqual([]);
    expect(await halfWay.setChannel()).toEqual(succeeded);
    const [last] = await scene.app().register(JID);
    await scene.server.kill('SIGKILL');
    scene.world.wns.http.standing = null;
    await scene.server.restart();

    expect(await scene.publish(account)).toBe('result');
    await scene.untilWoken(app, 1);
    expect(await app.setAccounts(JID)).toEqual([account]);
    expect(await scene.publish(last)).toBe('result');
    await halfWay.setAccounts(JID);
    await scene.untilWoken(waiting, 1);
  });
}

function suite(at: () => UwpxScene): void {
  let scene: UwpxScene;
  beforeAll(() => {
    scene = at();
  });

  it.each(['push@push.example', 'anybody@push.example', 'push@push.example/resource'])(
    'a publish to %s is as good as one to the domain',
    async (jid) => {
      const app = scene.app();
      const [account] = await app.register(JID);
      expect(await scene.publish({ ...account, jid })).toBe('result');
      await scene.untilWoken(app, 1);
    },
  );

  it.each(['v1-cpp', 'v1-py'] as const)(
    'an app of the generation %s gets its XML, and neither sender nor text',
    async (generation) => {
      const app = scene.app(generation);
      const [account] = await app.register(JID);
      const summary = {
        'message-count': '2',
        'last-message-sender': 'romeo@secret.example',
        'last-message-body': 'meet me at the balcony',
      };
      expect(await scene.publish(account, summary)).toBe('result');
      await scene.untilWoken(app, 1);
      const [text = ''] = scene.texts(app);
      expect(text).toMatch(/^<notification xmlns="urn:xmpp:push:0">.*<\/notification>$/);
      expect(text).toContain('var="message-count"><value>2</value>');
      expect(text.endsWith(`<account id="${app.accountId(JID)}"/></notification>`)).toBe(true);
      expect(text).not.toMatch(/romeo|balcony|last-message/);
    },
  );

  it('the device decides the form of its pushes anew with every list of accounts', async () => {
    const old = scene.app('v1-cpp');
    const [account] = await old.register(JID);
    await old.request({ action: 'set_push_accounts', device_id: old.deviceId, accounts: [] });
    const renewed = await old.exchange(
      `${JSON.stringify({
        action: 'set_accounts',
        device_id: old.deviceId,
        accounts: [{ account_id: old.accountId(JID) }],
        version: 2,
      })}\0`,
    );
    const [after] = old.accountsIn(JSON.parse(renewed) as UwpxAnswer, [JID] as const);
    expect(after.node).not.toBe(account.node);
    expect(await scene.publish(after)).toBe('result');
    await scene.untilWoken(old, 1);
    expect(scene.texts(old)).toEqual([jsonPush(old.accountId(JID), 1)]);
  });

  it('registering wakes nobody, and doing so again changes nothing', async () => {
    const app = scene.app();
    const first = await app.register(JID, OTHER_JID);
    for (let n = 1; n <= 3; n += 1) {
      expect(await app.setAccounts(JID, OTHER_JID)).toEqual(first);
      expect(await scene.publish(first[0])).toBe('result');
      await scene.untilWoken(app, n);
    }
    // In another order, by another version of the app, and after a new channel.
    expect(await app.setAccounts(OTHER_JID, JID)).toEqual([...first].reverse());
    app.renewChannel();
    expect(await app.register(JID, OTHER_JID)).toEqual(first);
    expect(await scene.publish(first[0])).toBe('result');
    await scene.untilWoken(app, 1);
  });

  it('a long list of accounts arrives whole', async () => {
    const app = scene.app();
    const jids = Array.from({ length: 50 }, (_, n) => `user${n}@example.org`);
    const accounts = await app.register(...jids);
    expect(new Set(accounts.map(({ node }) => node)).size).toBe(50);
    for (const account of [accounts[0], accounts[49]])
      expect(account && (await scene.publish(account))).toBe('result');
    await scene.untilWoken(app, 2);
    const { accounts: some, status } = await app.askForAccounts([...jids, 'one@too.many']);
    expect([status, some?.length]).toEqual([1, 50]);
  });

  it('a wrong secret, none, and that of another account are refused, and nothing is sent', async () => {
    const app = scene.app();
    const [mine, other] = await app.register(JID, OTHER_JID);
    const { requests } = scene.world.wns.http;
    const { jid, node } = mine;
    for (const secret of ['f'.repeat(32), '', other.secret, `${mine.secret}x`, mine.secret.slice(1)])
      expect(await scene.publish({ jid, node, secret })).toBe(UNKNOWN);
    expect(await scene.publish({ jid, node })).not.toBe('result');
    expect(await scene.publish({ jid, node: 'nobody', secret: mine.secret })).toBe(UNKNOWN);
    expect(scene.world.wns.http.requests).toBe(requests);
    expect(await scene.publish(mine)).toBe('result');
    await scene.untilWoken(app, 1);
  });

  it('the node of an account that is not named again is unknown, and a new one comes with its return', async () => {
    const app = scene.app();
    const [mine, other] = await app.register(JID, OTHER_JID);
    expect(await app.setAccounts(OTHER_JID)).toEqual([other]);
    expect(await scene.publish(mine)).toBe(UNKNOWN);
    expect(await scene.publish(other)).toBe('result');
    await scene.untilWoken(app, 1);

    const [again] = await app.setAccounts(JID, OTHER_JID);
    expect(again.node).not.toBe(mine.node);
    expect(await scene.publish(mine)).toBe(UNKNOWN);
    expect(await scene.publish(again)).toBe('result');
    await scene.untilWoken(app, 2);

    // The user turns push off.
    expect(await app.askForAccounts([])).toEqual({
      ...succeeded,
      push_bare_jid: 'push.example',
      accounts: [],
    });
    for (const { jid, node, secret } of [again, other])
      expect(await scene.publish({ jid, node, secret })).toBe(UNKNOWN);
    expect(scene.arrived(app)).toHaveLength(2);
  });

  it.each([
    ['v2', '{"action":"test_push","version":2}'],
    ['v1-cpp', '<test/>'],
  ] as const)(
    'a test push reaches an app of %s, or the app hears that it failed',
    async (generation, body) => {
      const app = scene.app(generation);
      expect(await app.requestTestPush()).toEqual(refused('Device id unknown.'));
      await app.register(JID);
      expect(await app.requestTestPush()).toEqual(succeeded);
      expect(scene.texts(app)).toEqual([body]);
      const failed = refused('Failed to send test push. Something went wrong...');
      for (const status of [500, 406, 410]) {
        scene.world.wns.forChannel(app.channel, wnsAnswer(status));
        expect(await app.requestTestPush()).toEqual(failed);
      }
      // The last of them was the channel's end.
      await eventually(async () => {
        const { error } = await app.requestTestPush();
        return error === 'Device id unknown.';
      });
      expect(scene.arrived(app)).toHaveLength(1);
      app.renewChannel();
      expect(await app.setChannel()).toEqual(succeeded);
      expect(scene.arrived(app)).toEqual([]);
    },
  );

  it('a dead channel: servers are asked to wait, and the device is reachable again as soon as it is back', async () => {
    const [app, neighbour] = [scene.app(), scene.app()];
    const [account] = await app.register(JID);
    const [other] = await neighbour.register(OTHER_JID);
    scene.world.wns.forChannel(app.channel, wnsAnswer(410));
    expect(await scene.publish(account)).toMatch(/^wait\//);
    const { requests } = scene.world.wns.http;
    for (let n = 0; n < 3; n += 1) expect(await scene.publish(account)).toMatch(/^wait\//);
    // Nothing more goes to the dead one.
    expect(scene.world.wns.http.requests).toBe(requests);
    expect(await app.askForAccounts([JID])).toEqual(refused('Device id unknown.'));
    expect(await scene.publish(other)).toBe('result');
    await scene.untilWoken(neighbour, 1);

    app.renewChannel();
    expect(await app.setChannel()).toEqual(succeeded);
    expect(await scene.publish(account)).toBe('result');
    await scene.untilWoken(app, 1);
    expect(await app.setAccounts(JID)).toEqual([account]);
  });

  it('a channel that WNS throttles: the server is told that all is well, and the push comes later, once', async () => {
    const app = scene.app();
    const [account] = await app.register(JID);
    const throttled = wnsAnswer(406, { 'retry-after': '1' }, 'channelthrottled');
    scene.world.wns.forChannel(app.channel, throttled);
    expect(await scene.publish(account)).toBe('result');
    expect(scene.arrived(app)).toEqual([]);
    scene.world.wns.forChannel(app.channel, null);
    await scene.untilWoken(app, 1);
  });

  it.each(refusals)('answers %s to %s', async (error, message) => {
    const text = await scene.app().exchange(`${message}\0`);
    expect(text).toBe(`{"action":"response","error":"${error}","status":0,"version":2}`);
  });
}

function withTrouble(at: () => UwpxScene, postgres: () => TestPostgres, databaseUrl: () => string): void {
  let scene: UwpxScene;
  beforeAll(() => {
    scene = at();
  });

  const inTable = (sql: string): Promise<void> =>
    withDatabase({ url: databaseUrl(), dataDir: '' }, (database) =>
      database.transaction((transaction) => transaction.script(sql)),
    );

  it('a device that stays away for an hour after the end of its channel is unknown until it is back', async () => {
    const app = scene.app();
    const [account] = await app.register(JID);
    scene.world.wns.forChannel(app.channel, wnsAnswer(404));
    expect(await scene.publish(account)).toMatch(/^wait\//);
    await inTable(`UPDATE uwpx_devices SET channel_lost_at_ms = channel_lost_at_ms - 3600000, active_at_ms = active_at_ms - 3600000
                   WHERE device_id = '${app.deviceId}'`);
    expect(await scene.publish(account)).toBe(UNKNOWN);
    app.renewChannel();
    expect(await app.register(JID)).toEqual([account]);
    expect(await scene.publish(account)).toBe('result');
    await scene.untilWoken(app, 1);
  });

  it('a database that is away: every request fails in words that the client knows, and servers wait', async () => {
    const app = scene.app();
    const [account] = await app.register(JID);
    const stranger = scene.app();
    await postgres().stop();
    try {
      for (const answer of [
        await app.setChannel(),
        await stranger.setChannel(),
        await app.askForAccounts([JID]),
        await app.requestTestPush(),
      ])
        expect(answer).toEqual(refused(failedText));
      expect(await scene.publish(account)).toMatch(/^wait\//);
      expect(await scene.publish({ ...account, node: 'nobody' })).toMatch(/^wait\//);
    } finally {
      await postgres().start();
    }
    await scene.server.ready();
    await eventually(async () => (await app.setChannel()).status === 1, { timeoutMs: 20_000 });
    expect(await app.setAccounts(JID)).toEqual([account]);
    expect(await scene.publish(account)).toBe('result');
    await scene.untilWoken(app, 1);
    await stranger.register(JID);
    expect(await scene.server.metric('waggle_pushes_lost_total')).toBe(0);
  });
}

describe('UWPX behind a component (embedded)', () => {
  const scene = sceneFor(() => Promise.resolve(null));
  suite(scene);
  essentials(scene);
});

describeWithPostgres('UWPX behind a component', (postgres) => {
  let databaseUrl = '';
  const scene = sceneFor(async () => (databaseUrl = await postgres().createDatabase()));
  essentials(scene);
  withTrouble(scene, postgres, () => databaseUrl);
});

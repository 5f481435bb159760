import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { TestPostgres } from '../simulators/postgres.js';
import { describeWithXmppServers } from '../simulators/xmpp/describe-servers.js';
import type { RealXmppServer } from '../simulators/xmpp/real-server.js';
import { errorOf } from '../simulators/xmpp/xmpp-client.js';
import { askAppServer, publishAnswers, untilArrived, XmppScene, type Away } from './xmpp-support.js';

vi.setConfig({ testTimeout: 60_000 });

const RATE_LIMIT_SECONDS = 2;
/** Within which a push is either delivered or, the provider being silent, given to the outbox. */
const ENOUGH_MS = 700;

const config = {
  xmpp: { rateLimitSeconds: RATE_LIMIT_SECONDS, answerTimeoutSeconds: 4, writePatienceMs: 1500 },
  database: { statementTimeoutMs: 1000, connectTimeoutMs: 1000 },
};
const env = { WAGGLE_NOTIFIERS__APNS__REQUEST_TIMEOUT_MS: String(ENOUGH_MS) };

function suite(real: () => RealXmppServer, postgres: () => TestPostgres): void {
  let scene: XmppScene;

  beforeAll(async () => {
    const databaseUrl = await postgres().createDatabase();
    scene = await XmppScene.start(real(), { databaseUrl, config, env });
  });
  afterEach(async () => {
    await scene.usersLeave();
    // Whatever has failed: the next test finds everything in order.
    await scene.world.toApple.shut();
    scene.world.toApple.swallowNew = false;
    await scene.world.toApple.open();
    await startDatabase();
  });
  afterAll(() => scene.close());

  let isDatabaseAway = false;
  async function stopDatabase(): Promise<void> {
    isDatabaseAway = true;
    await postgres().stop();
  }
  async function startDatabase(): Promise<void> {
    if (!isDatabaseAway) return;
    await postgres().start();
    isDatabaseAway = false;
    await scene.server.ready();
  }

  const answered = (kind: string): Promise<number> => publishAnswers(scene.server, kind);

  const severalAway = (): Promise<Away[]> => Promise.all(Array.from({ length: 4 }, () => scene.away()));

  async function expectRegistered(all: readonly Away[]): Promise<void> {
    for (const away of all) expect(await scene.registrations(away)).toEqual([away.address]);
  }

  it('a burst of messages: the first push at once, another for the rest, and nothing ends', async () => {
    const away = await scene.away();
    const count = 20;
    const outcomes = (outcome: string): Promise<number> =>
      scene.server.metric(`waggle_xmpp_publishes_total{outcome="${outcome}"}`);
    const [accepted, limited] = [await outcomes('accepted'), await outcomes('rate-limited')];
    const deferred = await scene.server.metric('waggle_xmpp_deferred_total');
    const startedAt = performance.now();
    await scene.send(away, ...Array.from({ length: count }, (_, n) => `message ${n}`));
    await untilArrived(away, 1);
    await eventually(
      async () =>
        (await outcomes('accepted')) + (await outcomes('rate-limited')) === accepted + limited + count,
    );
    // Two, unless the machine took longer for the burst than a push has to wait.
    const pushes = (await outcomes('accepted')) - accepted;
    expect(pushes).toBeLessThan(count / 2);
    expect(await scene.server.metric('waggle_xmpp_deferred_total')).toBeGreaterThan(deferred);
    await untilArrived(away, pushes);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(RATE_LIMIT_SECONDS * 1000 - 1);
    await expectRegistered([away]);
  });

  it.each(['refuses', 'is silent'] as const)(
    'a provider that %s: the server is told that all is well, and the pushes come when it is back',
    async (way) => {
      const all = await severalAway();
      const { toApple } = scene.world;
      if (way === 'refuses') await toApple.shut();
      else {
        toApple.swallowNew = true;
        toApple.swallowPresent();
      }
      const [results, others] = [
        await answered('result'),
        (await answered('wait')) + (await answered('late')),
      ];
      for (const away of all) await scene.send(away, 'hello');
      await eventually(async () => (await answered('result')) === results + all.length);
      expect((await answered('wait')) + (await answered('late'))).toBe(others);
      expect(all.flatMap(({ device }) => device.arrived())).toEqual([]);
      expect(await scene.server.metric('waggle_outbox_waiting')).toBe(all.length);
      await expectRegistered(all);

      await toApple.shut();
      toApple.swallowNew = false;
      await toApple.open();
      for (const away of all) await untilArrived(away, 1);
      await expectRegistered(all);
      expect(await scene.server.metric('waggle_pushes_lost_total')).toBe(0);
    },
  );

  it('a database that is away: who is known is woken, and nobody else is harmed', async () => {
    const all = await severalAway();
    const wrong = await scene.away(scene.newDevice(), 'command', { node: 'nobody' });
    const waiting = await scene.user();
    await stopDatabase();
    const waits = await answered('wait');
    for (const away of [...all, wrong]) await scene.send(away, 'hello');
    for (const away of all) await untilArrived(away, 1);
    await eventually(async () => (await answered('wait')) + (await answered('late')) > waits);
    await expectRegistered([...all, wrong]);

    const { type, node, token } = scene.newDevice();
    const { domain } = real().component;
    const fields = { type, node, token };
    expect(errorOf(await waiting.command(domain, 'v1-register-push', fields))).toMatch(/^wait\//);
    const p2 = { 'device-id': node, token };
    expect(errorOf(await waiting.command(domain, 'register-push-fcm', p2))).toMatch(/^wait\//);
    expect(errorOf(await waiting.command(domain, 'v1-unregister-push', fields))).toMatch(/^wait\//);
    for (const request of ['register', 'unregister'] as const)
      expect((await askAppServer(scene.server, request, fields)).status).toBe(503);

    await startDatabase();
    const address = await waiting.registerV1(domain, fields);
    expect(address.node).toBe(node);
    const device = scene.newDevice('fcm');
    const late = await scene.away(device, 'http');
    await scene.send(late, 'hello');
    await untilArrived(late, 1);
    await expectRegistered([...all, wrong, late]);
  });

  it('an XMPP server that restarts while the database is away finds us, for those who are known', async () => {
    const [known, wrong] = [
      await scene.away(),
      await scene.away(scene.newDevice(), 'command', { node: 'nobody' }),
    ];
    await scene.usersLeave();
    await stopDatabase();
    const { server } = scene;
    const connects = await server.metric('waggle_xmpp_connects_total');
    await real().restart();
    await eventually(
      async () => (await server.metric('waggle_xmpp_connects_total')) === connects + scene.connections,
    );
    for (const away of [known, wrong]) await scene.send(away, 'hello');
    await untilArrived(known, 1);
    await expectRegistered([known, wrong]);
  });

  it('database and provider away: the server is told to try later, and the push comes all the same', async () => {
    const away = await scene.away();
    await stopDatabase();
    await scene.world.toApple.shut();
    const late = (await answered('late')) + (await answered('wait'));
    const results = await answered('result');
    await scene.send(away, 'hello');
    await eventually(async () => (await answered('late')) + (await answered('wait')) > late);
    expect(await answered('result')).toBe(results);
    await expectRegistered([away]);
    await scene.world.toApple.open();
    await startDatabase();
    await untilArrived(away, 1);
    await expectRegistered([away]);
  });
}

describeWithPostgres('XMPP servers and trouble behind us', (postgres) => {
  describeWithXmppServers('trouble', (real) => suite(real, postgres));
});

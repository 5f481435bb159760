import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import type { ServerProcess } from '../simulators/server-process.js';
import { describeWithEjabberd } from '../simulators/xmpp/describe-servers.js';
import type { PushDevice } from '../simulators/xmpp/push-device.js';
import {
  askAppServer,
  publishAnswers,
  untilArrived,
  untilConnected,
  XmppScene,
  type Away,
} from './xmpp-support.js';

// Servers start several times, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const RATE_LIMIT_SECONDS = 2;
/** Of them ejabberd gives each to either of two connections: all to one of them once in a million runs. */
const MANY = 20;

describeWithPostgres('two processes of ours on one database', (postgres) => {
  describeWithEjabberd('at one XMPP server', (real) => {
    let scene: XmppScene;
    let one: ServerProcess;
    let two: ServerProcess;

    beforeAll(async () => {
      scene = await XmppScene.start(real(), {
        databaseUrl: await postgres().createDatabase(),
        connections: 1,
        config: { xmpp: { rateLimitSeconds: RATE_LIMIT_SECONDS } },
      });
      one = scene.server;
      two = await scene.startAnother();
    });
    afterEach(() => scene.usersLeave());
    afterAll(() => scene.close());

    async function register(server: ServerProcess, { type, node, token }: PushDevice): Promise<string> {
      const { status, lines } = await askAppServer(server, 'register', { type, node, token });
      expect([status, lines[0]]).toEqual([200, 'OK']);
      return lines[2] ?? '';
    }

    const push = async (server: ServerProcess, node: string, secret: string): Promise<string | undefined> =>
      (await askAppServer(server, 'push', { node, secret })).lines[0];

    const known = (server: ServerProcess, type: string): Promise<number> =>
      server.metric(`waggle_xmpp_devices{type="${type}"}`);

    it('who registered at one is known at the other at once, and soon without asking', async () => {
      const before = await known(two, 'huawei');
      for (let n = 1; n <= 5; n += 1) {
        const device = scene.newDevice('huawei');
        const secret = await register(one, device);
        expect(await push(two, device.node, secret)).toBe('OK');
        await untilArrived({ device }, 1);
        // Both open what one has sealed.
        expect(await register(two, device)).toBe(secret);
      }
      const unasked = scene.newDevice('huawei');
      await register(one, unasked);
      await eventually(async () => (await known(two, 'huawei')) === before + 6);
    });

    it('whichever of them a publish comes to, the device is woken and the registration kept', async () => {
      const all: Away[] = [];
      for (let n = 0; n < MANY; n += 1) {
        const user = await scene.user();
        const device = scene.newDevice();
        const address = await scene.register(user, device, 'http', n % 2 === 0 ? one : two);
        await user.enablePush(address);
        await user.goAway();
        all.push({ account: user.account, device, address });
        await scene.send({ account: user.account }, 'hello');
      }
      for (const away of all) await untilArrived(away, 1);
      await scene.answersAreRead();
      for (const { account, address } of all) expect(await real().registrations(account)).toEqual([address]);
      for (const server of [one, two]) {
        expect(await publishAnswers(server, 'result')).toBeGreaterThan(0);
        expect(await publishAnswers(server, 'refused')).toBe(0);
      }
    });

    it('a token that is renewed at one is soon used by the other', async () => {
      const [old, renewed] = [scene.newDevice('wns'), scene.newDevice('wns')];
      const secret = await register(one, old);
      await eventually(async () => (await push(two, old.node, secret)) === 'OK');
      const { type, node } = old;
      expect((await askAppServer(one, 'register', { type, node, token: renewed.token })).lines[2]).toBe(
        secret,
      );
      await eventually(async () => {
        await push(two, node, secret);
        return renewed.arrived().length > 0;
      });
    });

    it('who is gone at one is soon gone at the other: unregistered, or with a dead token', async () => {
      const [leaving, dead] = [await scene.away(), await scene.away()];
      for (const server of [one, two]) {
        await eventually(
          async () => (await push(server, leaving.device.node, leaving.address.secret)) === 'OK',
        );
      }
      const { type, node } = leaving.device;
      expect((await askAppServer(one, 'unregister', { type, node })).lines[0]).toBe('OK');
      expect(await push(one, node, leaving.address.secret)).toBe('ERROR');
      scene.world.apns.answers.forToken(dead.device.token, {
        status: 410,
        body: { reason: 'Unregistered', timestamp: Date.now() + 60_000 },
      });
      await scene.send(dead, 'hello');
      await eventually(async () => (await real().registrations(dead.account)).length === 0);
      for (const { device, address } of [leaving, dead]) {
        for (const server of [one, two]) {
          await eventually(async () => {
            const { lines } = await askAppServer(server, 'push', {
              node: device.node,
              secret: address.secret,
            });
            return lines[1] === 'Node or secret not found!';
          });
        }
      }
      const before = leaving.device.arrived().length;
      await scene.send(leaving, 'hello');
      await eventually(async () => (await real().registrations(leaving.account)).length === 0);
      expect(leaving.device.arrived()).toHaveLength(before);
    });

    it('what one has answered for and deferred is sent by the other when the one is killed', async () => {
      const away = await scene.away(scene.newDevice('fcm'), 'http');
      const { node } = away.device;
      const answers = await Promise.all(
        Array.from({ length: 3 }, () => push(one, node, away.address.secret)),
      );
      expect(answers.sort()).toEqual(['ERROR', 'OK', 'OK']);
      await one.kill('SIGKILL');
      await untilArrived(away, 2);

      // And the other way round: what has happened meanwhile is known to who comes back.
      const meanwhile = scene.newDevice('fcm');
      const secret = await register(two, meanwhile);
      expect((await askAppServer(two, 'unregister', { type: 'fcm', node })).lines[0]).toBe('OK');
      one.launch();
      await one.ready();
      await untilConnected(one, 1);
      expect(await push(one, meanwhile.node, secret)).toBe('OK');
      expect(await push(one, node, away.address.secret)).toBe('ERROR');
      await untilArrived({ device: meanwhile }, 1);
    });
  });
});

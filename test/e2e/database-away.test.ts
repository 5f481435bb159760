import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import { ServerProcess } from '../simulators/server-process.js';
import { makeMessage, startWorld, type World } from '../simulators/world.js';
import {
  added,
  countByToken,
  inParallel,
  internalError,
  newSubscriber,
  newSubscribers,
  pause,
  subscribe,
  untilRegistered,
  updated,
  withDatabase,
  type Subscriber,
} from './support.js';
import { numberCell, statement } from '../../src/store/statement.js';

const outboxCount = statement('test_outbox_count', 'SELECT count(*)::int FROM outbox');

const AWAY_MS = 8000;
const EVERY_MS = 10;

describeWithPostgres('a database that is away', (postgres) => {
  async function start(): Promise<{ world: World; server: ServerProcess; databaseUrl: string }> {
    const databaseUrl = await postgres().createDatabase();
    const world = await startWorld({
      databaseUrl,
      config: {
        shutdown: { drainSeconds: 1 },
        delivery: { retryBaseMs: 200, retryMaxMs: 1000, maxAttempts: 1000 },
        outbox: { pollIntervalMs: 200 },
      },
    });
    return { world, server: await ServerProcess.start(world.configFile), databaseUrl };
  }

  async function subscribeAll(world: World, server: ServerProcess, count: number): Promise<Subscriber[]> {
    const subscribers = newSubscribers(count);
    await inParallel(subscribers, 16, async (one) =>
      expect(await subscribe(server.httpAddress, one)).toEqual(added),
    );
    await untilRegistered(
      world.network,
      subscribers.map(({ account }) => account.id),
    );
    return subscribers;
  }

  it('stops nothing but new subscriptions, and those are told so at once', async () => {
    const { world, server, databaseUrl } = await start();
    try {
      const subscribers = await subscribeAll(world, server, 100);
      const [unlucky] = subscribers;
      if (unlucky === undefined) throw new Error('a hundred were asked for');
      const sent = new Map(subscribers.map(({ phone }) => [phone.token, 0]));

      let isSending = true;
      const sending = (async () => {
        for (let at = 0; isSending; at = (at + 1) % subscribers.length) {
          const one = subscribers[at];
          if (one === undefined) break;
          world.network.deliver(makeMessage(one.account, 'while the database is away'));
          sent.set(one.phone.token, (sent.get(one.phone.token) ?? 0) + 1);
          await pause(EVERY_MS);
        }
      })();

      await postgres().stop();
      const awaySince = Date.now();
      world.apns.answers.forToken(unlucky.phone.token, {
        status: 500,
        body: { reason: 'InternalServerError' },
      });
      const turnedAway: Subscriber[] = [];
      let slowestMs = 0;
      const deliveredBefore = world.apns.accepted;
      while (Date.now() - awaySince < AWAY_MS) {
        const one = newSubscriber();
        const askedAt = Date.now();
        expect(await subscribe(server.httpAddress, one)).toEqual(internalError);
        slowestMs = Math.max(slowestMs, Date.now() - askedAt);
        turnedAway.push(one);
        await pause(250);
      }
      expect(slowestMs).toBeLessThan(6000);
      expect(turnedAway.length).toBeGreaterThan(3);
      // Pushes went on from the index all the while.
      expect(world.apns.accepted - deliveredBefore).toBeGreaterThan(100);
      expect((await fetch(`${server.adminAddress}/livez`)).status).toBe(200);
      expect((await fetch(`${server.adminAddress}/readyz`)).status).toBe(503);

      await postgres().start();
      await eventually(async () => (await fetch(`${server.adminAddress}/readyz`)).status === 200);
      for (const one of turnedAway) expect(await subscribe(server.httpAddress, one)).toEqual(added);
      isSending = false;
      await sending;
      world.apns.answers.forToken(unlucky.phone.token, null);

      const counts = (): Map<string, number> => countByToken(world.apns.pushes);
      await eventually(() => [...sent].every(([token, count]) => (counts().get(token) ?? 0) >= count), {
        timeoutMs: 20_000,
        what: 'every push',
      });
      await eventually(
        () =>
          withDatabase({ url: databaseUrl, dataDir: '' }, async (database) => {
            const [row] = await database.rows(outboxCount);
            return numberCell(row, 0) === 0;
          }),
        { what: 'an empty outbox' },
      );
      expect(counts()).toEqual(sent);
      expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
      // What was answered before is there still.
      await inParallel(subscribers, 8, async (one) =>
        expect(await subscribe(server.httpAddress, one)).toEqual(updated),
      );
    } finally {
      await server.close();
      await world.close();
    }
  });

  it('that only restarts loses nothing that was answered', async () => {
    const { world, server, databaseUrl } = await start();
    try {
      const answered: Subscriber[] = [];
      let refused = 0;
      let isRestarting = true;
      const restarting = (async () => {
        await pause(150);
        await postgres().restart();
        await pause(150);
        await postgres().kill9();
        await postgres().start();
        isRestarting = false;
      })();
      const knocking = Array.from({ length: 8 }, async () => {
        while (isRestarting) {
          const one = newSubscriber();
          const answer = await subscribe(server.httpAddress, one);
          if (JSON.stringify(answer) === JSON.stringify(internalError)) refused += 1;
          else {
            expect(answer).toEqual(added);
            answered.push(one);
          }
          await pause(5);
        }
      });
      await Promise.all([restarting, ...knocking]);
      expect(answered.length).toBeGreaterThan(0);
      expect(refused).toBeGreaterThan(0);
      await eventually(async () => (await fetch(`${server.adminAddress}/readyz`)).status === 200);
      await inParallel(answered, 16, async (one) =>
        expect(await subscribe(server.httpAddress, one)).toEqual(updated),
      );
      // Nobody else may be us, after that as before.
      const key = await readKeyFile(join(world.directory, 'keys/server.x25519'));
      if (!key.ok) throw new Error('the server has made its key');
      const { publicKey } = key.value;
      await eventually(
        () =>
          withDatabase({ url: databaseUrl, dataDir: '' }, async (database) => {
            const lock = await database.holdAdvisoryLock(publicKey, () => {});
            if (lock.ok) await lock.value.release();
            return !lock.ok;
          }),
        { timeoutMs: 20_000, everyMs: 500, what: 'the lock on the server key' },
      );
      // The index and the database agree: a server that only has the database finds the same.
      await server.restart();
      await inParallel(answered.slice(0, 100), 16, async (one) =>
        expect(await subscribe(server.httpAddress, one)).toEqual(updated),
      );
    } finally {
      await server.close();
      await world.close();
    }
  });

  it('that is there and does not answer is given up in time, and used again when it does', async () => {
    const databaseUrl = await postgres().createDatabase();
    const relay = await TcpRelay.start(postgres().port);
    const world = await startWorld({
      config: {
        database: {
          url: databaseUrl.replace(`:${postgres().port}`, `:${new URL(relay.endpoint).port}`),
          statementTimeoutMs: 1000,
          connectTimeoutMs: 1000,
        },
      },
    });
    const server = await ServerProcess.start(world.configFile);
    try {
      const subscribers = await subscribeAll(world, server, 20);
      relay.swallowNew = true;
      relay.swallowPresent();
      const newcomers = newSubscribers(20);
      await Promise.all(
        newcomers.map(async (one) => expect(await subscribe(server.httpAddress, one)).toEqual(internalError)),
      );
      for (const { account } of subscribers) world.network.deliver(makeMessage(account, 'nevertheless'));
      await eventually(() => world.apns.pushes.length >= subscribers.length);
      expect((await fetch(`${server.adminAddress}/readyz`)).status).toBe(503);
      relay.swallowNew = false;
      await eventually(async () => (await fetch(`${server.adminAddress}/readyz`)).status === 200, {
        timeoutMs: 20_000,
        what: 'an answer 200 of /readyz',
      });
      await inParallel(newcomers, 4, async (one) => {
        // A statement that was lost on the way back was carried out all the same.
        expect([added, updated]).toContainEqual(await subscribe(server.httpAddress, one));
      });
      expect(countByToken(world.apns.pushes)).toEqual(
        new Map(subscribers.map(({ phone }) => [phone.token, 1])),
      );
    } finally {
      await server.close();
      await world.close();
      await relay.close();
    }
  });

  it('does not keep a stop from ending, and what is lost by it is said', async () => {
    const { world, server } = await start();
    try {
      const subscribers = await subscribeAll(world, server, 10);
      world.apns.answers.standing = { instead: 'hang' };
      for (const { account } of subscribers) world.network.deliver(makeMessage(account, 'hangs'));
      await eventually(() => world.apns.requests >= subscribers.length);
      await postgres().stop();
      const exit = await server.kill('SIGTERM');
      expect(exit.signal).toBeNull();
      expect(server.output()).toContain(`"pushes":${subscribers.length},"msg":"the outbox is closed before`);
    } finally {
      await server.close();
      await world.close();
      await postgres().start();
    }
  });
});

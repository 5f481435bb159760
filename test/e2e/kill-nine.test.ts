import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberCell, statement } from '../../src/store/statement.js';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { makeMessage, startWorld, type World } from '../simulators/world.js';
import {
  added,
  countByToken,
  inParallel,
  isRegistered,
  newSubscribers,
  pause,
  subscribe,
  untilRegistered,
  updated,
  withDatabase,
  type Subscriber,
} from './support.js';

const outboxRows = statement('test_outbox_rows', 'SELECT count(*)::int, min(attempts)::int FROM outbox');

/** Retries come soon, so that the tests need not wait for them. */
const config = {
  delivery: { retryBaseMs: 200, retryMaxMs: 500, maxAttempts: 1000, maxPauseSeconds: 2 },
  outbox: { pollIntervalMs: 200 },
};
const away = { status: 503, body: { reason: 'ServiceUnavailable' }, headers: { 'retry-after': '1' } };

const WAITING = 40;

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: World;
  let server: ServerProcess;
  let location: { readonly url: string | null; readonly dataDir: string };

  beforeAll(async () => {
    const url = await databaseUrl();
    world = await startWorld({ config, ...(url !== null && { databaseUrl: url }) });
    location = { url, dataDir: join(world.directory, 'data') };
    server = await ServerProcess.start(world.configFile);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  it.each([30, 150, 400])(
    'keeps every answered subscription and every waiting push when it is killed after %i ms',
    async (killAfterMs) => {
      const waiting = newSubscribers(WAITING);
      await inParallel(waiting, 8, async (one) =>
        expect(await subscribe(server.httpAddress, one)).toEqual(added),
      );
      await untilRegistered(
        world.network,
        waiting.map(({ account }) => account.id),
      );
      world.apns.answers.standing = away;
      for (const { account } of waiting) world.network.deliver(makeMessage(account, 'waits'));
      await eventually(async () => (await server.metric('waggle_outbox_waiting')) === WAITING, {
        what: 'all pushes in the outbox',
      });

      // Subscribes without a pause, until one finds nobody any more.
      const answered: Subscriber[] = [];
      const newcomers = newSubscribers(2000);
      const killed = pause(killAfterMs + Math.random() * 100).then(() => server.kill('SIGKILL'));
      const subscribing = inParallel(newcomers, 32, async (one) => {
        if (!server.isRunning) return;
        const answer = await subscribe(server.httpAddress, one).catch(() => null);
        if (answer === null) return;
        expect(answer).toEqual(added);
        answered.push(one);
      });
      await Promise.all([killed, subscribing]);
      if (killAfterMs >= 400) expect(answered.length).toBeGreaterThan(0);

      const rows = await withDatabase(location, (database) => database.rows(outboxRows));
      expect(numberCell(rows[0], 0)).toBe(WAITING);

      world.apns.answers.standing = null;
      server.launch();
      await server.ready();
      await inParallel(answered, 16, async (one) =>
        expect(await subscribe(server.httpAddress, one)).toEqual(updated),
      );
      const tokens = waiting.map(({ phone }) => phone.token);
      const counts = (): (number | undefined)[] => {
        const byToken = countByToken(world.apns.pushes);
        return tokens.map((token) => byToken.get(token));
      };
      await eventually(() => counts().every((count) => count !== undefined), {
        timeoutMs: 20_000,
        what: 'every push that waited',
      });
      expect(counts()).toEqual(tokens.map(() => 1));
      const [first] = answered;
      if (first !== undefined) {
        await eventually(() => isRegistered(world.network, first.account.id));
        world.network.deliver(makeMessage(first.account, 'to one who subscribed just before'));
        await eventually(() => countByToken(world.apns.pushes).get(first.phone.token) === 1);
      }
    },
  );
}

describe('kill -9 (embedded)', () => suite(() => Promise.resolve(null)));

describeWithPostgres('kill -9', (postgres) => {
  suite(() => postgres().createDatabase());

  it('goes on counting the attempts of a push over a kill', async () => {
    const url = await postgres().createDatabase();
    const world = await startWorld({ config, databaseUrl: url });
    const server = await ServerProcess.start(world.configFile);
    try {
      const [one] = newSubscribers(1);
      if (one === undefined) throw new Error('one was asked for');
      await subscribe(server.httpAddress, one);
      await untilRegistered(world.network, [one.account.id]);
      world.apns.answers.forToken(one.phone.token, { status: 500, body: { reason: 'InternalServerError' } });
      world.network.deliver(makeMessage(one.account, 'again and again'));
      const attempts = (): Promise<number> =>
        withDatabase({ url, dataDir: '' }, async (database) => {
          const [row] = await database.rows(outboxRows);
          return numberCell(row, 0) === 0 ? 0 : numberCell(row, 1);
        });
      const before = await eventually(async () => {
        const made = await attempts();
        return made >= 3 ? made : null;
      });
      await server.kill('SIGKILL');
      const requestsBefore = world.apns.requests;
      await server.restart();
      await eventually(async () => (await attempts()) > before);
      const requestsSince = world.apns.requests - requestsBefore;
      expect(await attempts()).toBeGreaterThanOrEqual(before + requestsSince - 1);
      world.apns.answers.forToken(one.phone.token, null);
      await eventually(() => countByToken(world.apns.pushes).get(one.phone.token) === 1);
      await eventually(async () => (await attempts()) === 0);
    } finally {
      await server.close();
      await world.close();
    }
  });
});

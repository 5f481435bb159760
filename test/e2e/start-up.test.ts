import { afterAll, describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { makeMessage, nowInSeconds, startWorld, type World } from '../simulators/world.js';
import {
  added,
  countByToken,
  inParallel,
  insertSubscriptions,
  insertedAccount,
  insertedToken,
  newSubscribers,
  subscribe,
  unsubscribe,
  untilRegistered,
  updated,
} from './support.js';

const ROWS = 20_000;
const OUTSTANDING = 2000;
const removed = {
  message: 'Device unsubscribed from push notifications',
  removed: true,
  success: true,
};

function suite(databaseUrl: () => Promise<string | null>): void {
  let world: World | undefined;
  let server: ServerProcess | undefined;

  afterAll(async () => {
    await server?.close();
    await world?.close();
  });

  it(`answers everybody while ${ROWS} subscriptions are loaded, and ends in the right state`, async () => {
    const url = await databaseUrl();
    // Small pages make the load long enough to fall into.
    const around = await startWorld({
      ...(url !== null && { databaseUrl: url }),
      config: {
        database: { ...(url === null ? {} : { url }), dataDir: 'data', loadPageRows: 100 },
        // A machine that is busy with something else must not look like load of ours.
        http: { port: 0, maxEventLoopDelayMs: 60_000 },
      },
    });
    world = around;
    await insertSubscriptions({ url, dataDir: join(around.directory, 'data') }, ROWS);
    // Some that a former run took in: real signatures, so that they can be renewed and ended.
    const before = await ServerProcess.start(around.configFile);
    const leaving = newSubscribers(30);
    const staying = newSubscribers(30);
    server = before;
    for (const one of [...leaving, ...staying])
      expect(await subscribe(before.httpAddress, one)).toEqual(added);
    await before.kill('SIGTERM');

    const arriving = newSubscribers(60);
    before.launch();
    await before.listening();
    const answers: Promise<void>[] = [];
    const expectAnswer = async (answer: Promise<unknown>, expected: unknown): Promise<void> =>
      expect(await answer).toEqual(expected);
    leaving.forEach((one, index) => {
      answers.push(expectAnswer(unsubscribe(before.httpAddress, one), removed));
      const stays = staying[index];
      if (stays !== undefined) answers.push(expectAnswer(subscribe(before.httpAddress, stays), updated));
    });
    for (const one of arriving) answers.push(expectAnswer(subscribe(before.httpAddress, one), added));
    await Promise.all(answers);
    await before.ready();

    expect(await before.metric('waggle_accounts')).toBe(ROWS + staying.length + arriving.length);
    const alive = [...staying, ...arriving];
    await untilRegistered(around.network, [
      ...alive.map(({ account }) => account.id),
      insertedAccount(0),
      insertedAccount(ROWS - 1),
    ]);
    for (const { account } of [...alive, ...leaving])
      around.network.deliver(makeMessage(account, 'after the start'));
    around.network.deliver(makeMessage(insertedAccount(0), 'to the first'));
    around.network.deliver(makeMessage(insertedAccount(ROWS - 1), 'to the last'));
    await eventually(() => around.apns.pushes.length >= alive.length + 2);
    const expected = new Map(alive.map(({ phone }) => [phone.token, 1]));
    expected.set(insertedToken(0), 1).set(insertedToken(ROWS - 1), 1);
    expect(countByToken(around.apns.pushes)).toEqual(expected);
  });

  it(`answers ${OUTSTANDING} subscribes that are outstanding at once`, async () => {
    // With the server of the test before, and with the limits as they come.
    const [around, running] = [world, server];
    if (around === undefined || running === undefined) throw new Error('the first test starts them');
    const before = await running.metric('waggle_subscriptions');
    const pushesBefore = around.apns.pushes.length;
    const all = newSubscribers(OUTSTANDING);
    const bodies = all.map(({ account, phone }) => phone.body([phone.subscription(account, nowInSeconds())]));
    const answers = await Promise.all(
      bodies.map(async (body) => {
        const answer = await fetch(`${running.httpAddress}/subscribe`, {
          method: 'POST',
          body: new Uint8Array(body),
        });
        return answer.json();
      }),
    );
    expect(answers.filter((answer) => JSON.stringify(answer) !== JSON.stringify(added))).toEqual([]);
    expect(await running.metric('waggle_subscriptions')).toBe(before + OUTSTANDING);
    await untilRegistered(
      around.network,
      all.map(({ account }) => account.id),
    );
    for (const { account } of all) around.network.deliver(makeMessage(account, 'to each of them'));
    await eventually(() => around.apns.pushes.length >= pushesBefore + OUTSTANDING, { timeoutMs: 20_000 });
    expect(countByToken(around.apns.pushes.slice(pushesBefore))).toEqual(
      new Map(all.map(({ phone }) => [phone.token, 1])),
    );
    await inParallel(all.slice(0, 20), 4, async (one) =>
      expect(await subscribe(running.httpAddress, one)).toEqual(updated),
    );
  });
}

describe('a start (embedded)', () => suite(() => Promise.resolve(null)));
describeWithPostgres('a start', (postgres) => suite(() => postgres().createDatabase()));

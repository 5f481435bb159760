import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { numberCell, statement } from '../../src/store/statement.js';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { makeMessage, nowInSeconds, startWorld, type World } from '../simulators/world.js';
import {
  added,
  countByToken,
  inParallel,
  insertSubscriptions,
  newSubscriber,
  newSubscribers,
  subscribe,
  untilRegistered,
  updated,
  withDatabase,
  type Subscriber,
} from './support.js';

const outboxCount = statement('test_outbox_count', 'SELECT count(*)::int FROM outbox');

const PUSHES = 30;
const DRAIN_SECONDS = 2;
/** For closing everything on a busy machine. */
const MARGIN_MS = 15_000;

describe('a stop', () => {
  let world: World | undefined;
  let server: ServerProcess | undefined;

  afterEach(async () => {
    await server?.close();
    await world?.close();
  });

  async function startWithHangingPushes(drainSeconds: number): Promise<[World, ServerProcess, Subscriber[]]> {
    const around = await startWorld({
      config: { shutdown: { drainSeconds }, outbox: { pollIntervalMs: 200 }, delivery: { retryBaseMs: 100 } },
    });
    world = around;
    const running = await ServerProcess.start(around.configFile);
    server = running;
    const subscribers = newSubscribers(PUSHES);
    await inParallel(subscribers, 8, async (one) =>
      expect(await subscribe(running.httpAddress, one)).toEqual(added),
    );
    await untilRegistered(
      around.network,
      subscribers.map(({ account }) => account.id),
    );
    around.apns.answers.standing = { instead: 'hang' };
    for (const { account } of subscribers) around.network.deliver(makeMessage(account, 'hangs'));
    await eventually(() => around.apns.requests >= PUSHES);
    return [around, running, subscribers];
  }

  it('drains, leaves what hangs in the outbox, ends with 0, and the next start delivers it', async () => {
    const [around, running, subscribers] = await startWithHangingPushes(DRAIN_SECONDS);
    const startedAt = Date.now();
    expect(await running.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(Date.now() - startedAt).toBeLessThan(DRAIN_SECONDS * 1000 + MARGIN_MS);
    const location = { url: null, dataDir: join(around.directory, 'data') };
    const kept = await withDatabase(location, (database) => database.rows(outboxCount));
    expect(numberCell(kept[0], 0)).toBe(PUSHES);

    around.apns.answers.standing = null;
    await running.restart();
    await eventually(() => around.apns.pushes.length >= PUSHES, { what: 'what had hung' });
    const counts = countByToken(around.apns.pushes);
    expect(subscribers.map(({ phone }) => counts.get(phone.token))).toEqual(subscribers.map(() => 1));
    expect(await running.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    const left = await withDatabase(location, (database) => database.rows(outboxCount));
    expect(numberCell(left[0], 0)).toBe(0);
  });

  it('ends at once when it is told a second time', async () => {
    const [, running] = await startWithHangingPushes(600);
    running.signal('SIGTERM');
    await eventually(() => running.output().includes('stopping'));
    const exit = await running.kill('SIGTERM');
    expect(exit).toEqual({ code: 143, signal: null });
  });

  it('ends in order when it is told so in the middle of a start', async () => {
    const around = await startWorld({ config: { database: { dataDir: 'data', loadPageRows: 100 } } });
    world = around;
    const location = { url: null, dataDir: join(around.directory, 'data') };
    await insertSubscriptions(location, 10_000);
    const running = await ServerProcess.start(around.configFile, { untilReady: false });
    server = running;
    await running.listening();
    expect(await running.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(running.output()).not.toMatch(/"level":[56]0/);
    await running.restart();
    expect(await running.metric('waggle_accounts')).toBe(10_000);
  });

  it('answers the request that is under way, and what it answered is kept', async () => {
    const around = await startWorld();
    world = around;
    const running = await ServerProcess.start(around.configFile);
    server = running;
    const one = newSubscriber();
    const body = one.phone.body([one.phone.subscription(one.account, nowInSeconds())]);
    const { hostname, port } = new URL(running.httpAddress);
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      `POST /subscribe HTTP/1.1\r\nHost: push\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.subarray(0, 100));
    // The head has been read when a later request on another connection is answered.
    await subscribe(running.httpAddress, newSubscriber());
    const exited = running.kill('SIGTERM');
    await eventually(() => running.output().includes('stopping'));
    socket.write(body.subarray(100));
    await eventually(() => answer.includes('Subscription successful'), { what: 'the answer' });
    await ended;
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    await running.restart();
    expect(await subscribe(running.httpAddress, one)).toEqual(updated);
  });
});

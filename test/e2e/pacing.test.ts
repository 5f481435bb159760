import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberCell, statement } from '../../src/store/statement.js';
import { eventually } from '../simulators/eventually.js';
import type { RecordedApnsPush } from '../simulators/providers/apns-stand-in.js';
import { ServerProcess } from '../simulators/server-process.js';
import type { SessionDevice } from '../simulators/session-client.js';
import { decodePush } from '../simulators/session-push.js';
import { makeMessage, startWorld, type World } from '../simulators/world.js';
import {
  added,
  newSubscriber,
  subscribe,
  untilRegistered,
  withDatabase,
  type Subscriber,
} from './support.js';

const outboxCount = statement('test_outbox_count', 'SELECT count(*)::int FROM outbox');

const PACE_MS = 2000;
/** The first of two may be longer on its way than the second. */
const JITTER_MS = 200;
const BURST = 10;

describe('pacing', () => {
  let world: World;
  let server: ServerProcess;
  /** When each push was accepted, in order. */
  const acceptedAt: { readonly token: string; readonly atMs: number }[] = [];

  beforeAll(async () => {
    world = await startWorld({ config: { outbox: { pollIntervalMs: 100 } } });
    world.apns.onAccepted = ({ token }) => acceptedAt.push({ token, atMs: performance.now() });
    server = await ServerProcess.start(world.configFile, {
      env: { WAGGLE_NOTIFIERS__APNS__PACE_SECONDS: String(PACE_MS / 1000) },
    });
    // Connecting takes a while: it is not to be taken for pacing.
    const first = await subscribed();
    send(first, 'first of all');
    await eventually(() => textsFor(first.phone).length === 1);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  async function subscribed(): Promise<Subscriber> {
    const one = newSubscriber();
    expect(await subscribe(server.httpAddress, one)).toEqual(added);
    await untilRegistered(world.network, [one.account.id]);
    return one;
  }

  const send = ({ account }: Subscriber, text: string): unknown =>
    world.network.deliver(makeMessage(account, text));

  const sendBurst = (to: Subscriber): void => {
    for (let number = 1; number <= BURST; number += 1) send(to, `number ${number}`);
  };

  const textsFor = (phone: SessionDevice): string[] =>
    world.apns.pushes
      .filter(({ token }) => token === phone.token)
      .map((push) => decodePush(encPayloadOf(push), phone.encryptionKey).data?.toString() ?? '');

  const timesFor = (phone: SessionDevice): number[] =>
    acceptedAt.filter(({ token }) => token === phone.token).map(({ atMs }) => atMs);

  const superseded = (): Promise<number> => server.metric('waggle_pushes_superseded_total{notifier="apns"}');

  it('sends the first of a burst at once and the last when its time has come, and delays nobody else', async () => {
    const paced = await subscribed();
    const other = await subscribed();
    const startedAt = performance.now();
    sendBurst(paced);
    await eventually(async () => (await superseded()) === BURST - 2, { what: 'all but two left out' });
    expect(textsFor(paced.phone)).toEqual(['number 1']);
    expect(await server.metric('waggle_notifier_paced{notifier="apns"}')).toBe(1);

    send(other, 'to somebody else');
    await eventually(() => textsFor(other.phone).length === 1);
    expect(textsFor(paced.phone)).toEqual(['number 1']);

    await eventually(() => textsFor(paced.phone).length === 2, { timeoutMs: 5000 });
    expect(textsFor(paced.phone)).toEqual(['number 1', `number ${BURST}`]);
    const [first = 0, last = 0] = timesFor(paced.phone);
    expect(first - startedAt).toBeLessThan(PACE_MS / 2);
    expect(last - first).toBeGreaterThan(PACE_MS - JITTER_MS);
    expect(last - first).toBeLessThan(2 * PACE_MS);

    // More of them, one after the other; the time runs from the last push.
    let sent = 0;
    await eventually(
      () => {
        sent += 1;
        send(paced, `more, ${sent}`);
        return timesFor(paced.phone).length === 3;
      },
      { timeoutMs: 3 * PACE_MS, everyMs: 50 },
    );
    // Every message has either reached the phone or was left out for a later one.
    await eventually(async () => textsFor(paced.phone).length + (await superseded()) === BURST + sent, {
      what: 'the end of all of them',
    });
    const received = textsFor(paced.phone);
    expect(received.at(-1)).toBe(`more, ${sent}`);
    expect(new Set(received).size).toBe(received.length);
    const times = timesFor(paced.phone);
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(PACE_MS - JITTER_MS);
    expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
    expect(world.apns.refusals).toEqual([]);
  });

  it('leaves what is held in the outbox at a stop, and the next start delivers it', async () => {
    const paced = await subscribed();
    const before = await superseded();
    sendBurst(paced);
    await eventually(async () => (await superseded()) === before + BURST - 2, {
      what: 'all but two left out',
    });
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    const location = { url: null, dataDir: join(world.directory, 'data') };
    const kept = await withDatabase(location, (database) => database.rows(outboxCount));
    expect(numberCell(kept[0], 0)).toBe(1);
    expect(textsFor(paced.phone)).toEqual(['number 1']);

    await server.restart();
    await eventually(() => textsFor(paced.phone).length === 2, { what: 'what was held' });
    expect(textsFor(paced.phone)).toEqual(['number 1', `number ${BURST}`]);
    const [first = 0, last = 0] = timesFor(paced.phone);
    expect(last - first).toBeGreaterThan(PACE_MS - JITTER_MS);
    await eventually(async () => (await server.metric('waggle_outbox_waiting')) === 0);
    expect(textsFor(paced.phone)).toHaveLength(2);
  });
});

const encPayloadOf = ({ body }: RecordedApnsPush): string => String(body['enc_payload']);

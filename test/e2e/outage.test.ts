import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { startWorld, type World } from '../simulators/world.js';
import { NumberedFlow, quantile } from './numbered-flow.js';
import { added, inParallel, newSubscribers, pause, subscribe, untilRegistered } from './support.js';

/** Not `WAGGLE_…`: the server takes those for options of its own, and knows none of this name. */
const OUTAGE_SECONDS = Number(process.env['TEST_OUTAGE_SECONDS'] ?? 8);
const APPLE_PER_SECOND = 500;
const GOOGLE_PER_SECOND = 50;
const DEVICES = 100;
/** Messages to Google. */
const WARM_UP = 30;

/** The way to a stand-in, which can be shut: connections break and new ones are refused. */
class Doorway {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #port = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      const far = connect(targetPort, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        const end = (): void => {
          near.destroy();
          far.destroy();
          this.#sockets.delete(socket);
        };
        socket.on('error', end).on('close', end);
      }
      near.pipe(far);
      far.pipe(near);
    });
  }

  static async to(targetPort: number): Promise<Doorway> {
    const doorway = new Doorway(targetPort);
    await doorway.open();
    return doorway;
  }

  get endpoint(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** At the same address as before. */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async shut(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

function suite(seconds: number, databaseUrl: () => Promise<string | null>): void {
  let world: World | undefined;
  let server: ServerProcess | undefined;
  let doorway: Doorway | undefined;

  afterEach(async () => {
    await server?.close();
    await doorway?.shut();
    await world?.close();
  });

  async function start(): Promise<{ world: World; server: ServerProcess; toApple: Doorway }> {
    const url = await databaseUrl();
    world = await startWorld({
      ...(url !== null && { databaseUrl: url }),
      config: {
        delivery: { retryBaseMs: 200, retryMaxMs: 1000, maxAttempts: 1000, breakerProbeSeconds: 1 },
        outbox: { pollIntervalMs: 200 },
      },
    });
    doorway = await Doorway.to(world.apns.port);
    server = await ServerProcess.start(world.configFile, {
      env: { WAGGLE_NOTIFIERS__APNS__ENDPOINT: doorway.endpoint },
    });
    return { world, server, toApple: doorway };
  }

  it(
    `of ${seconds} s delays nobody but its own pushes, and each of those arrives once when it is over`,
    { timeout: 40_000 + 3000 * seconds },
    async () => {
      const { world, server, toApple } = await start();
      const iphones = newSubscribers(DEVICES, 'ios');
      const androids = newSubscribers(DEVICES, 'android');
      const everybody = [...iphones, ...androids];
      await inParallel(everybody, 16, async (one) =>
        expect(await subscribe(server.httpAddress, one)).toEqual(added),
      );
      await untilRegistered(
        world.network,
        everybody.map(({ account }) => account.id),
      );
      const toIphones = new NumberedFlow(world, iphones);
      const toAndroids = new NumberedFlow(world, androids);
      const apns = (name: string): Promise<number> => server.metric(`${name}{notifier="apns"}`);

      toIphones.start(APPLE_PER_SECOND);
      toAndroids.start(GOOGLE_PER_SECOND);
      await eventually(() => toAndroids.sent - toAndroids.missing > WARM_UP);
      const warm = toAndroids.sent; // The first messages of a process are slower.
      await eventually(() => toAndroids.sent - toAndroids.missing > warm + WARM_UP);
      const before = quantile(toAndroids.latenciesMs(warm), 0.5);

      // Nothing may come twice, so all that it has taken is answered when the connections break.
      world.apns.answers.standing = { instead: 'hang' };
      await eventually(async () => (await apns('waggle_pushes_delivered_total')) === world.apns.accepted);
      await toApple.shut();
      await eventually(() => world.apns.openSessions === 0);
      world.apns.answers.standing = null;
      const awayFrom = { iphones: toIphones.sent, androids: toAndroids.sent };
      const awaySince = performance.now();

      await eventually(async () => (await apns('waggle_notifier_breaker')) === 2, {
        what: 'an open breaker',
      });
      await eventually(async () => (await apns('waggle_outbox_waiting')) > 0, { what: 'pushes that wait' });
      await pause(seconds * 1000 - (performance.now() - awaySince));
      expect(await apns('waggle_notifier_breaker')).toBeGreaterThan(0);
      const sentMeanwhile = toIphones.sent - awayFrom.iphones;
      expect(sentMeanwhile).toBeGreaterThan(seconds * 100);
      expect(await apns('waggle_outbox_waiting')).toBeGreaterThan(0.9 * sentMeanwhile);
      expect(await apns('waggle_pushes_delivered_total')).toBe(world.apns.accepted);

      await toApple.open();
      await eventually(async () => (await apns('waggle_notifier_breaker')) === 0, {
        what: 'a closed breaker',
      });
      await eventually(async () => (await apns('waggle_outbox_waiting')) < 100, {
        timeoutMs: 15_000 + 1000 * seconds,
        everyMs: 50,
        what: 'that what waited drains while fresh pushes come',
      });
      await Promise.all([toIphones.stop(), toAndroids.stop()]);
      await eventually(() => toIphones.missing + toAndroids.missing === 0, { what: 'every push' });
      await eventually(async () => (await server.metric('waggle_outbox_waiting')) === 0);

      const total = toIphones.sent + toAndroids.sent;
      await eventually(async () => (await server.metric('waggle_pushes_delivered_total')) === total);
      expect([toIphones.repeated(), toAndroids.repeated()]).toEqual([[], []]);
      expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
      expect(await server.metric('waggle_pushes_dropped_total')).toBe(0);
      expect(await server.metric('waggle_notifier_held')).toBe(0);

      const meanwhile = toAndroids.latenciesMs(awayFrom.androids);
      expect(meanwhile.length).toBeGreaterThan(seconds * 10);
      expect(quantile(meanwhile, 0.5)).toBeLessThan(10 * before + 50);
      expect(quantile(meanwhile, 0.99)).toBeLessThan(2000);
      expect(await server.metric('waggle_pushes_retried_total{notifier="firebase"}')).toBe(0);
      expect(await server.metric('waggle_pushes_spilled_total{notifier="firebase"}')).toBe(0);
    },
  );
}

describe('the outage of a provider (embedded)', () => suite(OUTAGE_SECONDS / 2, () => Promise.resolve(null)));
describeWithPostgres('the outage of a provider', (postgres) =>
  suite(OUTAGE_SECONDS, () => postgres().createDatabase()),
);

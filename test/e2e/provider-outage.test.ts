import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { TcpRelay } from '../simulators/providers/tcp-relay.js';
import { ServerProcess } from '../simulators/server-process.js';
import { startWorld, type World } from '../simulators/world.js';
import { NumberedFlow, quantile } from './numbered-flow.js';
import { added, inParallel, newSubscribers, subscribe, untilRegistered } from './support.js';

/** Of each kind, half of what `outage.test.ts` has, where connections are refused. */
const OUTAGE_SECONDS = Number(process.env['TEST_OUTAGE_SECONDS'] ?? 8) / 2;
const APPLE_PER_SECOND = 500;
const GOOGLE_PER_SECOND = 50;
const DEVICES = 100;
/** Messages to Google. */
const WARM_UP = 30;
/** Fewer than come during an outage: the others must be somewhere else. */
const CREDITS = 500;
const GROWTH_MAX_BYTES = 100 * 1024 * 1024;

/** Around the server; the relay is between it and Apple. */
interface Around {
  readonly world: World;
  readonly relay: TcpRelay;
}

interface Outage {
  readonly name: string;
  readonly begin: (around: Around) => void;
  readonly end: (around: Around) => void;
  /** What tells an operator, and its value meanwhile. */
  readonly sign: readonly [metric: string, value: number];
  /** Some answers are lost on their way: then the provider is asked again. */
  readonly losesAnswers: boolean;
}

const outages: readonly Outage[] = [
  {
    name: 'is behind a black hole',
    begin({ world, relay }) {
      // It closes when a request has come through: that is accepted, and the answer does not get back.
      world.apns.onRequest = () => {
        relay.swallowNew = true;
        relay.swallowPresent();
      };
    },
    end({ world, relay }) {
      world.apns.onRequest = null;
      relay.swallowNew = false;
    },
    sign: ['waggle_notifier_breaker', 2],
    losesAnswers: true,
  },
  {
    name: 'answers 503',
    begin({ world }) {
      world.apns.answers.standing = { status: 503, body: { reason: 'ServiceUnavailable' } };
    },
    end({ world }) {
      world.apns.answers.standing = null;
    },
    sign: ['waggle_notifier_paused', 1],
    losesAnswers: false,
  },
];

describeWithPostgres(`a provider that for ${OUTAGE_SECONDS} s`, (postgres) => {
  let around: Around;
  let server: ServerProcess;
  let toIphones: NumberedFlow;
  let toAndroids: NumberedFlow;

  beforeAll(async () => {
    const world = await startWorld({
      databaseUrl: await postgres().createDatabase(),
      config: {
        delivery: {
          credits: CREDITS,
          retryBaseMs: 200,
          retryMaxMs: 1000,
          breakerProbeSeconds: 1,
          maxPauseSeconds: 2,
        },
        outbox: { pollIntervalMs: 200 },
      },
    });
    around = { world, relay: await TcpRelay.start(world.apns.port) };
    server = await ServerProcess.start(world.configFile, {
      env: {
        WAGGLE_NOTIFIERS__APNS__ENDPOINT: around.relay.endpoint,
        WAGGLE_NOTIFIERS__APNS__CONNECT_TIMEOUT_MS: '1000',
        WAGGLE_NOTIFIERS__APNS__REQUEST_TIMEOUT_MS: '1000',
      },
    });
    const [iphones, androids] = [newSubscribers(DEVICES, 'ios'), newSubscribers(DEVICES, 'android')];
    const everybody = [...iphones, ...androids];
    await inParallel(everybody, 16, async (one) =>
      expect(await subscribe(server.httpAddress, one)).toEqual(added),
    );
    await untilRegistered(
      world.network,
      everybody.map(({ account }) => account.id),
    );
    toIphones = new NumberedFlow(world, iphones);
    toAndroids = new NumberedFlow(world, androids);
  });
  afterAll(async () => {
    await server.close();
    await around.relay.close();
    await around.world.close();
  });

  it.each(outages)(
    '$name loses nothing, delays nobody else and costs no memory',
    { timeout: 40_000 + 4000 * OUTAGE_SECONDS },
    async ({ begin, end, sign: [sign, value], losesAnswers }) => {
      const { apns: apple } = around.world;
      const apns = (name: string): Promise<number> => server.metric(`${name}{notifier="apns"}`);
      const repeatedBefore = apple.accepted - toIphones.sent;

      toIphones.start(APPLE_PER_SECOND);
      toAndroids.start(GOOGLE_PER_SECOND);
      const arrived = (): number => toAndroids.sent - toAndroids.missing;
      const start = arrived();
      await eventually(() => arrived() > start + WARM_UP);
      const warm = toAndroids.sent; // The first messages of a process are slower.
      await eventually(() => arrived() > warm + WARM_UP);
      const before = quantile(toAndroids.latenciesMs(warm), 0.5);
      const window = await apns('waggle_notifier_window');
      const resting = await server.residentBytes();

      const [iphonesFrom, androidsFrom] = [toIphones.sent, toAndroids.sent];
      const awaySince = performance.now();
      begin(around);
      await eventually(async () => (await apns(sign)) === value, { what: `${sign} ${value}` });
      const accepted = apple.accepted;
      const [held, resident]: [number[], number[]] = [[], []];
      await eventually(
        async () => {
          held.push(await apns('waggle_notifier_held'));
          resident.push(await server.residentBytes());
          return performance.now() - awaySince > OUTAGE_SECONDS * 1000;
        },
        { timeoutMs: 5000 + OUTAGE_SECONDS * 1000, everyMs: 100 },
      );
      const sentMeanwhile = toIphones.sent - iphonesFrom;
      // A busy machine sends fewer, but more than fit into memory.
      expect(sentMeanwhile).toBeGreaterThan(Math.max(OUTAGE_SECONDS * 150, CREDITS));
      expect(apple.accepted).toBe(accepted);
      expect(await apns('waggle_notifier_window')).toBeLessThan(window);
      expect(await apns('waggle_outbox_waiting')).toBeGreaterThan(0.9 * sentMeanwhile - CREDITS);
      // What it has accepted without our knowledge: that we must ask again is all that may come twice.
      const unheard = accepted - repeatedBefore - (await apns('waggle_pushes_delivered_total'));
      expect(unheard > 0).toBe(losesAnswers);
      expect(unheard).toBeLessThanOrEqual(window);

      end(around);
      await eventually(async () => (await apns(sign)) === 0, { what: `${sign} 0` });
      await eventually(async () => (await apns('waggle_outbox_waiting')) < 100, {
        timeoutMs: 15_000 + 1000 * OUTAGE_SECONDS,
        everyMs: 50,
        what: 'that what waited drains while fresh pushes come',
      });
      await Promise.all([toIphones.stop(), toAndroids.stop()]);
      await eventually(() => toIphones.missing + toAndroids.missing === 0, { what: 'every push' });
      const total = toIphones.sent + toAndroids.sent;
      await eventually(async () => (await server.metric('waggle_pushes_delivered_total')) === total);
      await eventually(async () => (await server.metric('waggle_outbox_waiting')) === 0);
      expect(apple.accepted - repeatedBefore).toBe(toIphones.sent + unheard);
      // For Apple the second time is the same push.
      expect(new Set(apple.pushes.map(({ headers }) => headers['apns-id'])).size).toBe(toIphones.sent);
      expect(toAndroids.repeated()).toEqual([]);
      expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
      expect(await server.metric('waggle_pushes_dropped_total')).toBe(0);
      expect(await server.metric('waggle_notifier_held')).toBe(0);

      // A single row may be claimed beyond the credits, to see whether more wait.
      expect(Math.max(...held)).toBeLessThanOrEqual(CREDITS + 1);
      expect(Math.max(...resident) - resting).toBeLessThan(GROWTH_MAX_BYTES);
      const meanwhile = toAndroids.latenciesMs(androidsFrom);
      expect(meanwhile.length).toBeGreaterThan(OUTAGE_SECONDS * 10);
      expect(quantile(meanwhile, 0.5)).toBeLessThan(10 * before + 50);
      expect(quantile(meanwhile, 0.99)).toBeLessThan(2000);
      expect(await server.metric('waggle_pushes_retried_total{notifier="firebase"}')).toBe(0);
      expect(await server.metric('waggle_pushes_spilled_total{notifier="firebase"}')).toBe(0);
    },
  );
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { makeMessage, startWorld, type World } from '../simulators/world.js';
import {
  added,
  countByToken,
  inParallel,
  newSubscriber,
  newSubscribers,
  pause,
  subscribe,
  untilRegistered,
  type Subscriber,
} from './support.js';

const IPHONES = 50;
const SAMPLES = 60;

describe('a provider that never answers', () => {
  let world: World;
  let server: ServerProcess;
  let android: Subscriber;
  let iphones: Subscriber[];

  beforeAll(async () => {
    world = await startWorld({
      config: {
        delivery: {
          credits: 100,
          retryBaseMs: 200,
          retryMaxMs: 1000,
          maxAttempts: 1000,
          breakerProbeSeconds: 1,
        },
        outbox: { pollIntervalMs: 200 },
      },
    });
    server = await ServerProcess.start(world.configFile, {
      env: { WAGGLE_NOTIFIERS__APNS__REQUEST_TIMEOUT_MS: '2000' },
    });
    android = newSubscriber('android');
    iphones = newSubscribers(IPHONES);
    await inParallel([android, ...iphones], 8, async (one) =>
      expect(await subscribe(server.httpAddress, one)).toEqual(added),
    );
    await untilRegistered(
      world.network,
      [android, ...iphones].map(({ account }) => account.id),
    );
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  /** From the node to the provider, in milliseconds, one message after the other. */
  async function medianLatency(): Promise<number> {
    const latencies: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const arrived = new Promise<void>((resolve) => (world.fcm.onAccepted = () => resolve()));
      const startedAt = performance.now();
      world.network.deliver(makeMessage(android.account, 'to the Android phone'));
      await arrived;
      latencies.push(performance.now() - startedAt);
    }
    return latencies.sort((a, b) => a - b)[SAMPLES / 2] ?? Infinity;
  }

  it('delays nobody but its own pushes, and those arrive when it is back', async () => {
    await medianLatency(); // The first messages of a process are slower.
    const before = await medianLatency();

    world.apns.answers.standing = { instead: 'hang' };
    const sent = new Map(iphones.map(({ phone }) => [phone.token, 0]));
    let isSending = true;
    const sending = (async () => {
      for (let at = 0; isSending; at = (at + 1) % IPHONES) {
        const one = iphones[at];
        if (one === undefined) break;
        world.network.deliver(makeMessage(one.account, 'to an iPhone'));
        sent.set(one.phone.token, (sent.get(one.phone.token) ?? 0) + 1);
        await pause(5);
      }
    })();
    // Its credits are used up: what comes now goes to the outbox.
    await eventually(async () => (await server.metric('waggle_pushes_spilled_total{notifier="apns"}')) > 50);
    const during = await medianLatency();
    await eventually(async () => (await server.metric('waggle_pushes_retried_total{notifier="apns"}')) > 50);
    const later = await medianLatency();
    isSending = false;
    await sending;
    expect(during).toBeLessThan(10 * before + 50);
    expect(later).toBeLessThan(10 * before + 50);
    expect(await server.metric('waggle_pushes_delivered_total{notifier="apns"}')).toBe(0);
    expect(await server.metric('waggle_pushes_delivered_total{notifier="firebase"}')).toBe(4 * SAMPLES);

    world.apns.answers.standing = null;
    const total = [...sent.values()].reduce((sum, count) => sum + count, 0);
    await eventually(() => world.apns.pushes.length >= total, {
      timeoutMs: 30_000,
      what: `${total} pushes that had hung`,
    });
    expect(countByToken(world.apns.pushes)).toEqual(sent);
    expect(await server.metric('waggle_pushes_lost_total')).toBe(0);
  });
});

import { numberArgument } from './arguments.js';
import { sleep, until } from './process.js';
import { AS_STARTED, BenchServer, firebaseEntry } from './server.js';
import { BenchTraffic, makeTrafficSubscribers, subscribeTraffic } from './traffic.js';

const DEVICES = 500;
const PER_SECOND = 500;
const BYTES = 1000;
const RETRY_AFTER_SECONDS = 2;
const REPETITIONS = 3;
/** The provider refuses for so long, shorter than the pause that it asks for. */
const REFUSES_MS = 1000;
const WATCH_SECONDS = 12;

/** Google refuses everything for a moment and asks for two seconds; nothing may come earlier, then everything soon. */
export async function benchThrottle(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const perSecond = numberArgument('throttle-rate', PER_SECOND);
  const traffic = await BenchTraffic.start();
  const server = await BenchServer.start(
    traffic.facts,
    databaseUrl,
    { notifiers: { firebase: firebaseEntry(traffic.facts) } },
    AS_STARTED,
  );
  await subscribeTraffic(traffic, server, makeTrafficSubscribers('firebase', DEVICES));
  const service = 'firebase';
  const cases = [true, false].flatMap((namesProject) =>
    Array.from({ length: REPETITIONS }, () => ({ namesProject })),
  );
  const seconds = 10 + cases.length * (WATCH_SECONDS + 5);
  const flow = traffic.ask('flow', { service, perSecond, bytes: BYTES, seconds });
  await sleep(5000);

  say(`FCM answers 429 with Retry-After: ${RETRY_AFTER_SECONDS} for a second; ${perSecond} pushes/s, 1 kB:`);
  say(
    '| the answer names | refused | within | next request after the last refusal | full speed after that | ' +
      'all that waited after that |',
  );
  say('|---|---|---|---|---|---|');
  for (const { namesProject } of cases) {
    await traffic.ask('throttle', { retryAfter: RETRY_AFTER_SECONDS, namesProject });
    await until(async () => (await traffic.ask('refusals', null)).refused > 0, 5000);
    await sleep(REFUSES_MS);
    await traffic.ask('throttle', null);
    await sleep(WATCH_SECONDS * 1000);
    const { refused, firstAtMs, lastAtMs, nextAtMs } = await traffic.ask('refusals', null);
    const recovery = await traffic.ask('recovery', { service, fromMs: nextAtMs, perSecond });
    say(
      `| ${namesProject ? "the project's quota" : 'no quota'} | ${refused} | ${(lastAtMs - firstAtMs).toFixed(0)} ms | ` +
        `${((nextAtMs - lastAtMs) / 1000).toFixed(3)} s | ${(recovery.fullSpeedAfterMs / 1000).toFixed(2)} s | ` +
        `${(recovery.caughtUpAfterMs / 1000).toFixed(2)} s |`,
    );
  }
  await traffic.ask('stop', null);
  await flow;
  await sleep(2000);
  const all = await traffic.ask('latencies', { service, fromMs: -Infinity, toMs: Infinity });
  say('');
  say(`${all.arrived}/${all.sent} delivered, ${all.again} more than once.`);
  await server.stop();
  traffic.stop();
}

import { numberArgument } from './arguments.js';
import { MemoryWatch } from './memory.js';
import { sleep, until } from './process.js';
import { AS_STARTED, BenchServer, firebaseEntry } from './server.js';
import {
  BenchTraffic,
  makeTrafficSubscribers,
  subscribeTraffic,
  type Latencies,
  type ProviderState,
  type TrafficSubscriber,
} from './traffic.js';

const DEVICES = 500;
const PER_SECOND = 500;
const BYTES = 1000;
const WARM_UP_SECONDS = 8;
const QUIET_SECONDS = 15;
/** For what waited; then what is missing is lost. */
const CATCH_UP_SECONDS = 120;
/** `good`: nothing happens, the measure for the others, phase by phase: whoever measures grows slower with time too. */
const STATES: readonly ProviderState[] = ['good', 'gone', 'silent'];

interface Phase {
  readonly name: string;
  readonly fresh: Latencies;
  readonly peakMib: number;
}

/**
 * Three times the same traffic: without an outage, then
 * Apple is down for a while at 500 pushes per second, and comes back: once with nobody listening, once with connections
 * that stay open and never answer. As many pushes go to Google meanwhile, whose way through the server is timed.
 */
export async function benchOutage(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const outageSeconds = numberArgument('outage-seconds', 60);
  const perSecond = numberArgument('outage-rate', PER_SECOND);
  say(
    `APNs down for ${outageSeconds} s, ${perSecond} pushes/s for APNs and as many for FCM, 1 kB, PostgreSQL; ` +
      'FCM latency from node to provider, resident memory of the server at most:',
  );
  const subscribers = (['apns', 'firebase'] as const).flatMap((service) =>
    makeTrafficSubscribers(service, DEVICES),
  );
  let control: readonly Phase[] | null = null;
  for (const state of STATES) {
    const phases = await outage(databaseUrl, say, { state, control, outageSeconds, perSecond, subscribers });
    control ??= phases;
  }
}

interface Setting {
  readonly state: ProviderState;
  /** Of the run without an outage; null in that run. */
  readonly control: readonly Phase[] | null;
  readonly outageSeconds: number;
  readonly perSecond: number;
  readonly subscribers: readonly TrafficSubscriber[];
}

async function outage(
  databaseUrl: string,
  say: (line: string) => void,
  { state, control, outageSeconds, perSecond, subscribers }: Setting,
): Promise<readonly Phase[]> {
  const traffic = await BenchTraffic.start();
  const server = await BenchServer.start(
    traffic.facts,
    databaseUrl,
    { notifiers: { firebase: firebaseEntry(traffic.facts) } },
    AS_STARTED,
  );
  await subscribeTraffic(traffic, server, subscribers);

  const memory = new MemoryWatch(server.pid);
  const now = async () => ({ there: await traffic.ask('now', null), here: performance.now() });
  const phases: Phase[] = [];
  let phaseFrom = await now();
  const endPhase = async (name: string): Promise<void> => {
    const to = await now();
    const span = { service: 'firebase', fromMs: phaseFrom.there, toMs: to.there } as const;
    // The last ones of the phase are still under way.
    await sleep(500);
    const fresh = await traffic.ask('latencies', span);
    phases.push({ name, fresh, peakMib: memory.peakMib(phaseFrom.here, to.here) });
    phaseFrom = to;
  };

  const seconds = WARM_UP_SECONDS + 2 * QUIET_SECONDS + outageSeconds + CATCH_UP_SECONDS;
  const flows = (['apns', 'firebase'] as const).map((service) =>
    traffic.ask('flow', { service, perSecond, bytes: BYTES, seconds }),
  );
  await sleep(WARM_UP_SECONDS * 1000);
  phaseFrom = await now();
  await sleep(QUIET_SECONDS * 1000);
  await endPhase('before');
  const down = phaseFrom;
  await traffic.ask('apns', state);
  await sleep(outageSeconds * 1000);
  await endPhase('during');
  const up = phaseFrom;
  await traffic.ask('apns', 'good');
  const waited = { service: 'apns', fromMs: down.there, toMs: up.there } as const;
  const isCaughtUp = async (): Promise<boolean> => {
    const { sent, arrived } = await traffic.ask('latencies', waited);
    return arrived >= sent;
  };
  await until(isCaughtUp, CATCH_UP_SECONDS * 1000, 200).catch(() => {});
  await endPhase('catching up');
  await sleep(QUIET_SECONDS * 1000);
  await endPhase('after');
  await traffic.ask('stop', null);
  await Promise.all(flows);
  await sleep(3000);

  say('');
  say(`| ${state} | p50 | p99 | max | p99 against before | p99 against ${STATES[0]} | memory |`);
  say('|---|---|---|---|---|---|---|');
  const [before] = phases;
  for (const [at, { name, fresh, peakMib }] of phases.entries()) {
    const againstControl = fresh.p99Ms / (control?.[at]?.fresh.p99Ms ?? fresh.p99Ms);
    const ratio = (fresh.p99Ms / (before?.fresh.p99Ms ?? NaN)).toFixed(2);
    say(
      `| ${name} | ${fresh.p50Ms.toFixed(2)} ms | ${fresh.p99Ms.toFixed(2)} ms | ${fresh.maxMs.toFixed(1)} ms | ` +
        `${ratio} | ${againstControl.toFixed(2)} | ${peakMib.toFixed(0)} MiB |`,
    );
  }
  say('');
  const held = await traffic.ask('latencies', waited);
  const caughtUpMs = held.lastArrivalMs - up.there;
  say(
    `Of the outage: ${held.arrived}/${held.sent} delivered, the last one ${(caughtUpMs / 1000).toFixed(1)} s after ` +
      `its end.`,
  );
  for (const service of ['apns', 'firebase'] as const) {
    const all = await traffic.ask('latencies', { service, fromMs: -Infinity, toMs: Infinity });
    const lost = await server.metric(`waggle_pushes_lost_total{notifier="${service}"}`);
    say(
      `${service}, the whole run: ${all.arrived}/${all.sent} delivered, ${all.again} more than once; the server ` +
        `counts ${lost} as lost.`,
    );
  }
  memory.stop();
  await server.stop();
  traffic.stop();
  return phases;
}

import { numberArgument } from './arguments.js';
import { AskedProcess, SHORT_PAUSES } from './asked-process.js';
import { providerCredentials } from './legacy-bare.js';
import type { LegacyProviderCalls } from './legacy-providers.js';
import { mustBeDone, type LoadFlowResult } from './load-flow.js';
import { cpuMicros, residentBytes, sleep, until } from './process.js';
import type { BenchServer } from './server.js';
import type { WorldFacts } from './world.js';
import type { XmppBareCalls } from './xmpp-bare.js';
import type { XmppLoadCalls } from './xmpp-load.js';
import { registerXmppPhones, type XmppPhoneKind } from './xmpp-people.js';
import { startXmppLoad, startXmppServer, xmppFlags } from './xmpp-server.js';

/*
 * Publishes of one XMPP server over one component connection, from a process of its own, to the server as it is
 * started, to Apple and Google in a third process; against the provider's requests alone, made by a fourth.
 *
 *   --xmpp-rate=2000                          publishes per second
 *   --xmpp-most-devices=100000                2,000 and 20,000 of them before
 *   --xmpp-rounds=3 --xmpp-round-seconds=4
 *   --xmpp-seconds=35                         sustained; the times of last pushes are written every 30 s
 *   --xmpp-max-seconds=8 --xmpp-window=256    as many as there can be, so many without an answer
 *   --xmpp-no-coalescing                      with xmpp.coalesceMs: 0; the bare client sends as often
 *   --xmpp-spacing=0.1                        rateLimitSeconds; to 2,000 devices each gets a push every second
 *   --xmpp-plain-bare                         the bare client without our `mendAsyncResourceBind`
 *   --xmpp-profile                            writes CPU profiles of the server and of the bare client
 */

/** Of Prosody and ejabberd alike: they do not wait for answers. */
const LANES = 8000;
const WARM_UP_PUBLISHES = 40_000;
/** Before the most; fewer would get their next push too soon. */
const SIZES = [2000, 20_000];
const OTHER_DEVICES = 20_000;
const REST_MS = 3000;
/** The default of xmpp.coalesceMs. */
const COALESCE_MS = 4;
const ARRIVAL_TIMEOUT_MS = 30_000;
const POLL_TIMEOUT_MS = 60_000;
/** Of the plan, µs besides the provider's request. */
const MOST_MICROS = 120;

type Say = (line: string) => void;

interface Scene {
  readonly say: Say;
  readonly server: BenchServer;
  readonly load: AskedProcess<XmppLoadCalls>;
  readonly providers: AskedProcess<LegacyProviderCalls>;
}

/** Where the server's cost is compared with that of the requests alone. */
interface ComparedScene extends Scene {
  readonly bare: AskedProcess<XmppBareCalls>;
}

interface Flow {
  readonly phones: XmppPhoneKind;
  readonly devices: number;
}

interface Round {
  readonly server: number;
  readonly bare: number;
  readonly result: LoadFlowResult;
}

export async function benchXmpp(databaseUrl: string, say: Say): Promise<void> {
  const most = numberArgument('xmpp-most-devices', 100_000);
  const sizes = [...SIZES.filter((size) => size < most), most];
  const providers = await AskedProcess.start<LegacyProviderCalls>('legacy-providers-process', SHORT_PAUSES);
  await providers.ask('countOnly', null);
  const facts = await providers.ask('facts', null);
  const { load, port } = await startXmppLoad();
  const settings = {
    facts,
    databaseUrl,
    port,
    xmpp: { rateLimitSeconds: numberArgument('xmpp-spacing', 0.1), coalesceMs: coalesceMs() },
  };
  let server = await startXmppServer(settings);
  try {
    await load.ask('online', null);
    await sleep(REST_MS);
    const emptyMib = mibOf(residentBytes(server.pid));
    const scene: Scene = { say, server, load, providers };
    await compared(scene, facts, (beside) => againstBare(beside, databaseUrl, sizes));
    await sustained(scene, most);
    await saturated(scene, most);
    await compared(scene, facts, (beside) => otherPhones(beside, databaseUrl));
    await server.stop();

    const startedAt = performance.now();
    server = await startXmppServer(settings);
    const seconds = (performance.now() - startedAt) / 1000;
    await sleep(REST_MS);
    const all = most + 2 * OTHER_DEVICES;
    say('');
    say(
      `Started anew with ${all} devices: ready after ${seconds.toFixed(2)} s, resident memory then ` +
        `${mibOf(residentBytes(server.pid)).toFixed(0)} MiB; with none ${emptyMib.toFixed(0)} MiB.`,
    );
  } finally {
    await server.stop();
    load.stop();
    providers.stop();
  }
}

/** The bare client is there only while it is needed: also one that rests takes the processor now and then. */
async function compared(
  scene: Scene,
  facts: WorldFacts,
  measureAll: (scene: ComparedScene) => Promise<void>,
): Promise<void> {
  const bare = await AskedProcess.start<XmppBareCalls>('xmpp-bare-process', xmppFlags());
  try {
    const isMended = !process.argv.includes('--xmpp-plain-bare');
    await bare.ask('setup', { facts, credentials: await providerCredentials(facts), isMended });
    await measureAll({ ...scene, bare });
  } finally {
    bare.stop();
  }
}

/** One size after the other at the same server: it takes the new devices over as from another process. */
async function againstBare(
  scene: ComparedScene,
  databaseUrl: string,
  sizes: readonly number[],
): Promise<void> {
  const { say, server } = scene;
  const rounds = numberArgument('xmpp-rounds', 3);
  const perSecond = numberArgument('xmpp-rate', 2000);
  const restMs = await cpuAtRest(server);
  say(
    `Publishes over one component connection, half of Prosody's form, half of ejabberd's, one of four without a body, ` +
      `${perSecond}/s; µs of CPU of the whole process per publish, medians of ${rounds} rounds in turn (lowest to ` +
      `highest). Nothing is taken off for what the server does at rest, ${restMs.toFixed(0)} ms of CPU per second:`,
  );
  sayHead(say);
  let registered = 0;
  for (const devices of sizes) {
    await registerXmppPhones(databaseUrl, 'apns', registered, devices);
    registered = devices;
    await takenOver(server, 'apns', devices);
    const flow: Flow = { phones: 'apns', devices };
    await scene.bare.ask('prepare', flow);
    await measure(scene, flow, 'APNs', devices === sizes[0] ? WARM_UP_PUBLISHES : perSecond);
  }
}

/** The same to Google, and to clients of p2. */
async function otherPhones(scene: ComparedScene, databaseUrl: string): Promise<void> {
  const { say, server, bare } = scene;
  say('');
  say('Other phones, at the same server with all the others registered:');
  sayHead(say);
  let ofType = 0;
  for (const phones of ['fcm', 'p2'] as const) {
    await registerXmppPhones(databaseUrl, phones, 0, OTHER_DEVICES);
    ofType += OTHER_DEVICES;
    await takenOver(server, 'fcm', ofType);
    const flow: Flow = { phones, devices: OTHER_DEVICES };
    await bare.ask('prepare', flow);
    await measure(scene, flow, phones === 'fcm' ? 'FCM' : 'FCM, p2', WARM_UP_PUBLISHES / 4);
  }
}

const sayHead = (say: Say): void => {
  say(
    `| devices | to | server | bare node:http2, the same requests | besides the request (at most ${MOST_MICROS}) ` +
      '| p50 of the answer | p99 (highest round) |',
  );
  say('|---|---|---|---|---|---|---|');
};

async function measure(scene: ComparedScene, flow: Flow, to: string, warmUp: number): Promise<void> {
  const rounds = numberArgument('xmpp-rounds', 3);
  const seconds = numberArgument('xmpp-round-seconds', 4);
  const perSecond = numberArgument('xmpp-rate', 2000);
  await round(scene, flow, { perSecond, count: warmUp });
  const measured: Round[] = [];
  for (let at = 0; at < rounds; at += 1) {
    measured.push(await round(scene, flow, { perSecond, count: perSecond * seconds }));
  }
  const show = (value: (round: Round) => number, digits = 0): string => {
    const values = measured.map(value).sort((a, b) => a - b);
    const middle = values[Math.floor(values.length / 2)] ?? NaN;
    return `${middle.toFixed(digits)} (${values[0]?.toFixed(digits)} to ${values.at(-1)?.toFixed(digits)})`;
  };
  scene.say(
    `| ${flow.devices} | ${to} | ${show(({ server }) => server)} | ${show(({ bare }) => bare)} ` +
      `| ${show(({ server, bare }) => server - bare)} | ${show(({ result }) => result.p50Ms, 2)} ms ` +
      `| ${Math.max(...measured.map(({ result }) => result.p99Ms)).toFixed(1)} ms |`,
  );
}

async function round(
  { server, load, bare, providers }: ComparedScene,
  { phones, devices }: Flow,
  { perSecond, count }: { readonly perSecond: number; readonly count: number },
): Promise<Round> {
  const subject = { kind: 'publish', phones, devices } as const;
  const flow = { subject, count, seconds: (2 * count) / perSecond, perSecond, lanes: LANES };
  const serverBefore = cpuMicros(server.pid);
  const result = mustBeDone(await load.ask('run', flow));
  mustBeAll(await arrivals(providers, count), count);
  const serverCpu = cpuMicros(server.pid) - serverBefore;

  const bareBefore = cpuMicros(bare.pid);
  mustBeAll(
    await bare.ask('run', { phones, devices, count, perSecond, everyMs: Math.max(1, coalesceMs()) }),
    count,
  );
  const bareCpu = cpuMicros(bare.pid) - bareBefore;
  mustBeAll(await arrivals(providers, count), count);
  return { server: serverCpu / count, bare: bareCpu / count, result };
}

async function sustained(scene: Scene, devices: number): Promise<void> {
  const { say, server, load, providers } = scene;
  const perSecond = numberArgument('xmpp-rate', 2000);
  const seconds = numberArgument('xmpp-seconds', 35);
  const count = Math.floor(perSecond * seconds);
  const subject = { kind: 'publish', phones: 'apns', devices } as const;
  await longestStall(server);
  const before = cpuMicros(server.pid);
  const result = await load.ask('run', { subject, count, seconds: 2 * seconds, perSecond, lanes: LANES });
  const cpu = cpuMicros(server.pid) - before;
  const stallMs = await longestStall(server);
  const arrived = await arrivals(providers, result.done);
  say('');
  say(
    `Sustained: ${(result.sent / result.seconds).toFixed(0)}/s for ${seconds} s to ${devices} devices, the times of ` +
      `their last pushes written meanwhile: ${(cpu / result.sent).toFixed(0)} µs of CPU per publish, answers after ` +
      `p50 ${result.p50Ms.toFixed(2)} ms, p99 ${result.p99Ms.toFixed(1)} ms, longest ${result.maxMs.toFixed(0)} ms; ` +
      `longest stall ${stallMs.toFixed(0)} ms; resident memory ${mibOf(residentBytes(server.pid)).toFixed(0)} MiB; ` +
      `${accountOf(result, arrived)}.`,
  );
}

async function saturated({ say, server, load, providers }: Scene, devices: number): Promise<void> {
  const seconds = numberArgument('xmpp-max-seconds', 8);
  const lanes = numberArgument('xmpp-window', 256);
  const subject = { kind: 'publish', phones: 'apns', devices } as const;
  const before = cpuMicros(server.pid);
  const loadBefore = cpuMicros(load.pid);
  const result = await load.ask('run', { subject, count: Infinity, seconds, perSecond: null, lanes });
  const cpu = cpuMicros(server.pid) - before;
  const loadCpu = cpuMicros(load.pid) - loadBefore;
  const arrived = await arrivals(providers, result.done);
  say('');
  say(
    `The most: ${lanes} publishes without an answer at any time, for ${seconds} s: ` +
      `${(result.sent / result.seconds).toFixed(0)}/s, ${(cpu / result.sent).toFixed(0)} µs of CPU each ` +
      `(${percentOfCore(cpu, result.seconds)}; of the XMPP server ${percentOfCore(loadCpu, result.seconds)}), answers ` +
      `after p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms; ${accountOf(result, arrived)}.`,
  );
}

/** What timers and the like take when nobody asks anything; ms per second. */
async function cpuAtRest({ pid }: BenchServer): Promise<number> {
  const before = cpuMicros(pid);
  await sleep(REST_MS);
  return (cpuMicros(pid) - before) / REST_MS;
}

const takenOver = (server: BenchServer, type: string, devices: number): Promise<void> =>
  until(
    async () => (await server.metric(`waggle_xmpp_devices{type="${type}"}`)) === devices,
    POLL_TIMEOUT_MS,
    200,
  );

const coalesceMs = (): number => (process.argv.includes('--xmpp-no-coalescing') ? 0 : COALESCE_MS);

/** Waits for so many; those that are missing in the end are lost. */
async function arrivals(providers: AskedProcess<LegacyProviderCalls>, expected: number): Promise<number> {
  const areThere = async (): Promise<boolean> => (await providers.ask('count', null)) >= expected;
  await until(areThere, ARRIVAL_TIMEOUT_MS).catch(() => {});
  const { apns, fcm, refusals } = await providers.ask('take', null);
  if (refusals > 0) throw new Error(`a provider refused ${refusals}`);
  return apns + fcm;
}

function mustBeAll(arrived: number, expected: number): void {
  if (arrived !== expected) throw new Error(`${arrived} pushes instead of ${expected}`);
}

function accountOf({ sent, done, refusals }: LoadFlowResult, arrived: number): string {
  const others = refusals.length === 0 ? '' : ` (${refusals.join(', ')})`;
  return `${done} of ${sent} answered with success${others}, ${arrived} pushes arrived`;
}

/** Resets it. ms. */
const longestStall = async (server: BenchServer): Promise<number> =>
  (await server.metric('waggle_event_loop_longest_stall_seconds')) * 1000;

const mibOf = (bytes: number): number => bytes / (1024 * 1024);
const percentOfCore = (cpu: number, seconds: number): string => `${(cpu / seconds / 10_000).toFixed(0)} %`;

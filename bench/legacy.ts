import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandomBytes, KEY_BYTES } from '../src/crypto/sodium.js';
import { keyPairFromSecret } from '../src/crypto/x25519.js';
import { numberArgument } from './arguments.js';
import { AskedProcess } from './asked-process.js';
import { providerCredentials, type LegacyBareCalls } from './legacy-bare.js';
import type { FlowResult, LegacyClientCalls, Subject } from './legacy-client.js';
import { GROUP_MEMBERS, registerPeople, type People } from './legacy-people.js';
import type { Arrivals, LegacyProviderCalls } from './legacy-providers.js';
import { MemoryWatch } from './memory.js';
import { postgresOf } from './postgres-cpu.js';
import { cpuMicros, residentBytes, sleep, until } from './process.js';
import { AS_STARTED, BenchServer, firebaseEntry } from './server.js';
import type { WorldFacts } from './world.js';

/*
 * Older clients: onion requests of version 2 over HTTP, from a process of its own, to the server as it is started, to
 * Apple and Google in a third process.
 *
 *   --legacy-devices=100000 --legacy-groups=10000     who is registered
 *   --legacy-onion-requests=20000
 *   --legacy-group-notifies=500 --legacy-group-rounds=5 --legacy-group-rate=100
 *   --legacy-rate=2000 --legacy-seconds=60            sustained
 *   --legacy-max-seconds=10 --legacy-registrations=10000
 *   --legacy-profile                                  writes CPU profiles of the server and of the bare client
 */

/** Of a message; 1,336 characters of base64. */
const BYTES = 1000;
const CLIENTS = 32;
/** Storage nodes that have something for us at the same time; at a pace, so that nothing waits for a connection. */
const PACED_CONNECTIONS = 64;
const ONION_REQUESTS = 20_000;
const ONION_REQUESTS_PER_SECOND = 2000;
/** Both grow faster over the first hundred thousand pushes. */
const GROUP_WARM_UP_ROUNDS = 6;
const GROUPS_PER_SECOND = 100;
const REST_MS = 4000;
const WARM_UP_REGISTRATIONS = 2000;
const ARRIVAL_TIMEOUT_MS = 30_000;
const READY_TIMEOUT_MS = 60_000;
/** Of the plan: a group costs at most so many times its bare pushes … */
const GROUP_FACTOR = 1.3;
/** … and so much for the onion request, µs. */
const ONION_MICROS = 300;

/** The bare client's as well. */
const flags = (): readonly string[] =>
  process.argv.includes('--legacy-profile')
    ? [...AS_STARTED, '--cpu-prof', `--cpu-prof-dir=${join(tmpdir(), 'waggle-profiles')}`]
    : AS_STARTED;

type Say = (line: string) => void;

interface Scene {
  readonly say: Say;
  readonly databaseUrl: string;
  readonly people: People;
  readonly facts: WorldFacts;
  readonly server: BenchServer;
  readonly client: AskedProcess<LegacyClientCalls>;
  readonly providers: AskedProcess<LegacyProviderCalls>;
}

export async function benchLegacy(databaseUrl: string, say: Say): Promise<void> {
  const people = {
    devices: numberArgument('legacy-devices', 100_000),
    groups: numberArgument('legacy-groups', 10_000),
  };
  const providers = await AskedProcess.start<LegacyProviderCalls>('legacy-providers-process');
  const facts = await providers.ask('facts', null);
  const key = new OnionKeyFile();
  let server: BenchServer | null = null;
  try {
    server = await startServer(databaseUrl, facts, people, key.path, say);
    const client = await AskedProcess.start<LegacyClientCalls>('legacy-client-process');
    await client.ask('server', { url: server.http, key: key.publicKey.toString('hex'), people });
    const scene: Scene = { say, databaseUrl, people, facts, server, client, providers };
    await onionRequests(scene);
    await groupCost(scene);
    await sustained(scene);
    await most(scene);
    await registrations(scene);
    client.stop();
  } finally {
    await server?.stop();
    key.remove();
    providers.stop();
  }
}

/** The one that clients know; the others of the server are its own business. */
class OnionKeyFile {
  readonly #directory = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  readonly path = join(this.#directory, 'onion.x25519');
  readonly publicKey: Buffer;

  constructor() {
    const { publicKey, secretKey } = keyPairFromSecret(createRandomBytes()(KEY_BYTES));
    this.publicKey = publicKey;
    writeFileSync(this.path, secretKey.toString('hex'), { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Once with nobody registered, which makes the tables, then with everybody. */
async function startServer(
  databaseUrl: string,
  facts: WorldFacts,
  people: People,
  onionKeyPath: string,
  say: Say,
): Promise<BenchServer> {
  const start = async (): Promise<{ server: BenchServer; seconds: number; mib: number }> => {
    const startedAt = performance.now();
    const more = {
      session: { oxend: null },
      keys: { onion: [onionKeyPath] },
      notifiers: { firebase: firebaseEntry(facts) },
    };
    const server = await BenchServer.start(facts, databaseUrl, more, flags());
    await until(() => server.isReady(), READY_TIMEOUT_MS);
    const seconds = (performance.now() - startedAt) / 1000;
    return { server, seconds, mib: mibOf(residentBytes(server.pid)) };
  };
  const first = await start();
  await first.server.stop();
  const empty = await start();
  await empty.server.stop();
  const filledIn = await registerPeople(databaseUrl, people);
  const full = await start();
  say(
    `${people.devices} devices (half iOS, half Android), ${people.groups} groups of ${GROUP_MEMBERS}, PostgreSQL; ` +
      `made by SQL in ${filledIn.toFixed(1)} s.`,
  );
  say(
    `From the start of the process until it is ready: ${full.seconds.toFixed(2)} s, with empty tables ` +
      `${empty.seconds.toFixed(2)} s; resident memory then ${full.mib.toFixed(0)} and ${empty.mib.toFixed(0)} MiB.`,
  );
  return full.server;
}

/** Opened, read and answered, with nobody to push to. */
async function onionRequests({ say, server, client, providers }: Scene): Promise<void> {
  const count = numberArgument('legacy-onion-requests', ONION_REQUESTS);
  await client.ask('prepare', { subject: { kind: 'strangers' }, count, bytes: BYTES });
  const flow = { count, seconds: 60, connections: CLIENTS };
  say('');
  say('`notify` of 1 kB to ids that nobody registered for, CPU of the server per request:');
  say('| | requests per second | CPU | p50 | p99 |');
  say('|---|---|---|---|---|');
  const groupsPerSecond = numberArgument('legacy-group-rate', GROUPS_PER_SECOND);
  for (const [name, perSecond, requests] of [
    ['warm-up', ONION_REQUESTS_PER_SECOND, count],
    [`${ONION_REQUESTS_PER_SECOND}/s`, ONION_REQUESTS_PER_SECOND, count],
    // One now and then is dearer: nothing is shared with its neighbours, and the caches are cold.
    [`${groupsPerSecond}/s, as the groups below`, groupsPerSecond, Math.min(count, 10 * groupsPerSecond)],
    [`as many as ${CLIENTS} clients can`, null, count],
  ] as const) {
    const before = cpuMicros(server.pid);
    const result = mustBeDone(await client.ask('run', { ...flow, perSecond, count: requests }));
    const cpu = (cpuMicros(server.pid) - before) / result.sent;
    say(`| ${name} | ${ratePerSecond(result)} | ${cpu.toFixed(0)} µs | ${latencyOf(result)} |`);
  }
  const { apns, fcm } = await providers.ask('take', null);
  if (apns + fcm > 0) throw new Error('strangers got pushes');
}

interface GroupRound {
  readonly server: number;
  readonly bare: number;
}

/** A `notify` to a group against the bare requests to its members, at the same pace, in turn. */
async function groupCost(scene: Scene): Promise<void> {
  const { say, people, facts } = scene;
  const rounds = numberArgument('legacy-group-rounds', 5);
  const count = numberArgument('legacy-group-notifies', 500);
  const perSecond = numberArgument('legacy-group-rate', GROUPS_PER_SECOND);
  const restMs = await cpuAtRest(scene.server);
  const bare = await AskedProcess.start<LegacyBareCalls>('legacy-bare-process', flags());
  await bare.ask('setup', { facts, people, credentials: await providerCredentials(facts) });
  say('');
  say(
    `\`notify\` of 1 kB to groups of ${GROUP_MEMBERS}, ${perSecond}/s, µs of CPU of the whole process per notify; medians of ` +
      `${rounds} rounds of ${count} in turn (middle half). Nothing is taken off for what the server does at rest, ` +
      `${restMs.toFixed(0)} ms of CPU per second:`,
  );
  say(
    `| members | server | bare node:http2, the same ${GROUP_MEMBERS} requests | ratio | at most ${GROUP_FACTOR} x bare + ` +
      `${ONION_MICROS} | server less that |`,
  );
  say('|---|---|---|---|---|---|');
  const names = { mixed: 'half iOS, half Android', ios: 'iOS', android: 'Android' };
  for (const groups of ['mixed', 'ios', 'android'] as const) {
    await scene.client.ask('prepare', { subject: { kind: 'groups', groups }, count, bytes: BYTES });
    await bare.ask('prepare', { groups, count, bytes: BYTES });
    const flow = { count, perSecond };
    const measured: GroupRound[] = [];
    const warmUp = groups === 'mixed' ? GROUP_WARM_UP_ROUNDS : 1;
    for (let round = 0; round < warmUp; round += 1) await groupRound(scene, bare, flow);
    for (let round = 0; round < rounds; round += 1) measured.push(await groupRound(scene, bare, flow));
    const show = (value: (round: GroupRound) => number, digits = 0): string => {
      const values = measured.map(value);
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(values, share).toFixed(digits));
      return `${middle} (${low} to ${high})`;
    };
    const bound = ({ bare: cpu }: GroupRound): number => GROUP_FACTOR * cpu + ONION_MICROS;
    say(
      `| ${names[groups]} | ${show(({ server }) => server)} | ${show((round) => round.bare)} ` +
        `| ${show((round) => round.server / round.bare, 2)} | ${show(bound)} | ${show((round) => round.server - bound(round))} |`,
    );
  }
  bare.stop();
}

/** What timers and the like take when nobody asks anything; ms per second. */
async function cpuAtRest({ pid }: BenchServer): Promise<number> {
  await sleep(REST_MS);
  const before = cpuMicros(pid);
  await sleep(REST_MS);
  return (cpuMicros(pid) - before) / REST_MS;
}

async function groupRound(
  { server, client, providers }: Scene,
  bare: AskedProcess<LegacyBareCalls>,
  { count, perSecond }: { readonly count: number; readonly perSecond: number },
): Promise<GroupRound> {
  const pushes = count * GROUP_MEMBERS;
  const seconds = (2 * count) / perSecond;
  const flow = { count, seconds, perSecond, connections: CLIENTS };
  const serverBefore = cpuMicros(server.pid);
  mustBeDone(await client.ask('run', flow));
  mustBeAll(await arrivals(providers, pushes), pushes);
  const serverCpu = cpuMicros(server.pid) - serverBefore;

  const bareBefore = cpuMicros(bare.pid);
  const taken = await bare.ask('run', perSecond);
  const bareCpu = cpuMicros(bare.pid) - bareBefore;
  mustBeAll(await arrivals(providers, taken), pushes);
  return { server: serverCpu / count, bare: bareCpu / count };
}

/** So many single notifies per second for a minute. */
async function sustained({ say, server, client, providers, people }: Scene): Promise<void> {
  const perSecond = numberArgument('legacy-rate', 2000);
  const seconds = numberArgument('legacy-seconds', 60);
  const total = Math.floor(perSecond * seconds);
  const count = Math.min(total, people.devices);
  const subject: Subject = { kind: 'accounts' };
  const preparedIn = await client.ask('prepare', { subject, count, bytes: BYTES });
  const memory = new MemoryWatch(server.pid);
  await sleep(2000);
  const restingMib = mibOf(residentBytes(server.pid));
  await longestStall(server);
  const startedAt = performance.now();
  const before = cpuMicros(server.pid);
  const result = await client.ask('run', {
    count: total,
    seconds,
    perSecond,
    connections: PACED_CONNECTIONS,
  });
  const cpu = cpuMicros(server.pid) - before;
  const endedAt = performance.now();
  const stallMs = await longestStall(server);
  const arrived = await arrivals(providers, result.done);
  memory.stop();
  const quarter = (endedAt - startedAt) / 4;
  const peaks = [0, 1, 2, 3].map((index) =>
    memory.peakMib(startedAt + index * quarter, startedAt + (index + 1) * quarter).toFixed(0),
  );
  say('');
  say(
    `Sustained: ${perSecond} single notifies of 1 kB per second for ${seconds} s to ${count} devices ` +
      `(${count} frames with keys of their own, made in ${preparedIn.toFixed(0)} s):`,
  );
  say(
    '| per second | CPU of the server | per notify | p50 | p99 | longest | longest stall | memory in each quarter (before) |',
  );
  say('|---|---|---|---|---|---|---|---|');
  say(
    `| ${ratePerSecond(result)} | ${percentOfCore(cpu, result.seconds)} | ${(cpu / result.sent).toFixed(0)} µs ` +
      `| ${latencyOf(result)} | ${result.maxMs.toFixed(0)} ms | ${stallMs.toFixed(0)} ms ` +
      `| ${peaks.join(', ')} MiB (${restingMib.toFixed(0)}) |`,
  );
  say('');
  say(`${accountOf(result, arrived)}; ${evenness(arrived, result.done, count)}.`);
}

/** As many as there can be. */
async function most({ say, server, client, providers }: Scene): Promise<void> {
  const seconds = numberArgument('legacy-max-seconds', 10);
  const before = cpuMicros(server.pid);
  const flow = { count: Infinity, seconds, perSecond: null, connections: CLIENTS };
  const result = await client.ask('run', flow);
  const cpu = cpuMicros(server.pid) - before;
  const arrived = await arrivals(providers, result.done);
  say('');
  say(
    `The most: ${CLIENTS} clients for ${seconds} s, each with the next as soon as it has its answer: ` +
      `${ratePerSecond(result)} notifies/s, ${percentOfCore(cpu, result.seconds)} of CPU, ` +
      `${(cpu / result.sent).toFixed(0)} µs each, p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms; ` +
      `${accountOf(result, arrived)}.`,
  );
}

async function registrations({ say, databaseUrl, server, client }: Scene): Promise<void> {
  const count = numberArgument('legacy-registrations', 10_000);
  const flow = { seconds: 120, perSecond: null, connections: CLIENTS };
  const subject: Subject = { kind: 'registrations' };
  await client.ask('prepare', { subject, count: WARM_UP_REGISTRATIONS, bytes: 0 });
  mustBeDone(await client.ask('run', { ...flow, count: WARM_UP_REGISTRATIONS }));
  await client.ask('prepare', { subject, count, bytes: 0 });
  const postgres = await postgresOf(databaseUrl);
  const [before, postgresBefore] = [cpuMicros(server.pid), postgres.cpuMicros()];
  const result = mustBeDone(await client.ask('run', { ...flow, count }));
  const cpu = (cpuMicros(server.pid) - before) / count;
  const postgresCpu = (postgres.cpuMicros() - postgresBefore) / count;
  say('');
  say(
    `Registration: ${count} new tokens of new accounts, ${CLIENTS} clients, PostgreSQL: ${ratePerSecond(result)}/s, CPU of the ` +
      `server ${cpu.toFixed(0)} µs, of PostgreSQL ${postgresCpu.toFixed(0)} µs, p50 ${result.p50Ms.toFixed(1)} ms, ` +
      `p99 ${result.p99Ms.toFixed(1)} ms.`,
  );
}

/** Waits for so many; those that are missing in the end are lost. */
async function arrivals(providers: AskedProcess<LegacyProviderCalls>, expected: number): Promise<Arrivals> {
  const areThere = async (): Promise<boolean> => (await providers.ask('count', null)) >= expected;
  await until(areThere, ARRIVAL_TIMEOUT_MS).catch(() => {});
  return providers.ask('take', null);
}

/** Resets it. ms. */
const longestStall = async (server: BenchServer): Promise<number> =>
  (await server.metric('waggle_event_loop_longest_stall_seconds')) * 1000;

function mustBeDone(result: FlowResult): FlowResult {
  if (result.done !== result.sent) throw new Error(`refused: ${result.refusals.join(', ')}`);
  return result;
}

function mustBeAll({ apns, fcm, refusals }: Arrivals, expected: number): void {
  if (apns + fcm !== expected || refusals > 0)
    throw new Error(`${apns + fcm} pushes instead of ${expected}, ${refusals} refused`);
}

function accountOf({ sent, done, refusals }: FlowResult, { apns, fcm, refusals: bad }: Arrivals): string {
  const others = refusals.length === 0 ? '' : ` (${refusals.join(', ')})`;
  return `${done} of ${sent} answered with success${others}, ${apns + fcm} pushes arrived (${apns} iOS, ${fcm} Android), ${bad} refused`;
}

/** Every device gets its share, so that one that got too much cannot hide one that got too little. */
function evenness({ devicesByPushes }: Arrivals, sent: number, devices: number): string {
  const each = Math.floor(sent / devices);
  const more = sent % devices;
  const isEven =
    (devicesByPushes.get(each) ?? 0) === devices - more && (devicesByPushes.get(each + 1) ?? 0) === more;
  if (isEven) return 'every device got exactly its own';
  const counts = [...devicesByPushes].map(([pushes, times]) => `${times} devices ${pushes}`);
  return `not every device got its own: ${counts.join(', ')}`;
}

const mibOf = (bytes: number): number => bytes / (1024 * 1024);
const ratePerSecond = ({ sent, seconds }: FlowResult): string => (sent / seconds).toFixed(0);
const latencyOf = ({ p50Ms, p99Ms }: FlowResult): string => `${p50Ms.toFixed(2)} ms | ${p99Ms.toFixed(2)} ms`;
const percentOfCore = (cpu: number, seconds: number): string => `${(cpu / seconds / 10_000).toFixed(0)} %`;

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
}

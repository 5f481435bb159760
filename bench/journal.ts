import { numberArgument } from './arguments.js';
import { cpuMicros, sleep } from './process.js';
import { postgresOf } from './postgres-cpu.js';
import { AS_STARTED, BenchServer } from './server.js';
import { BenchTraffic, makeTrafficSubscribers, subscribeTraffic, type Latencies } from './traffic.js';

const DEVICES = 500;
const PER_SECOND = 500;
const BYTES = 1000;
const WARM_UP_SECONDS = 8;
const ROUND_SECONDS = 10;
const ROUNDS = 4;

type Durability = 'spill' | 'journal';

interface Round extends Latencies {
  /** µs per push. */
  readonly serverCpu: number;
  readonly postgresCpu: number;
}

/** What it costs that every push is in the outbox before it is sent: two servers, in turn, with one load. */
export async function benchJournal(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const perSecond = numberArgument('journal-rate', PER_SECOND);
  const seconds = numberArgument('journal-seconds', ROUND_SECONDS);
  const postgres = await postgresOf(databaseUrl);
  const subscribers = makeTrafficSubscribers('apns', DEVICES);
  const rounds: Record<Durability, Round[]> = { spill: [], journal: [] };
  const service = 'apns';
  for (const turn of [1, 2]) {
    for (const durability of turn === 1 ? (['spill', 'journal'] as const) : (['journal', 'spill'] as const)) {
      const traffic = await BenchTraffic.start();
      const server = await BenchServer.start(
        traffic.facts,
        databaseUrl,
        { delivery: { durability } },
        AS_STARTED,
      );
      await subscribeTraffic(traffic, server, subscribers);
      await traffic.ask('flow', { service, perSecond, bytes: BYTES, seconds: WARM_UP_SECONDS });
      for (let round = 0; round < ROUNDS / 2; round += 1) {
        await sleep(500);
        const fromMs = await traffic.ask('now', null);
        const serverBefore = cpuMicros(server.pid);
        const postgresBefore = postgres.cpuMicros();
        await traffic.ask('flow', { service, perSecond, bytes: BYTES, seconds });
        await sleep(500);
        const serverCpu = cpuMicros(server.pid) - serverBefore;
        const postgresCpu = postgres.cpuMicros() - postgresBefore;
        const latencies = await traffic.ask('latencies', { service, fromMs, toMs: Infinity });
        const pushes = Math.max(1, latencies.arrived);
        rounds[durability].push({
          ...latencies,
          serverCpu: serverCpu / pushes,
          postgresCpu: postgresCpu / pushes,
        });
      }
      await server.stop();
      traffic.stop();
    }
  }

  say(
    `${perSecond} pushes/s of 1 kB to APNs for ${seconds} s, medians of ${ROUNDS} rounds each in turn, PostgreSQL:`,
  );
  say(
    '| delivery.durability | CPU of the server per push | of PostgreSQL | p50 | p99 | max | delivered | more than once |',
  );
  say('|---|---|---|---|---|---|---|---|');
  const values = (['spill', 'journal'] as const).map((durability) => {
    const of = (value: (round: Round) => number): number => median(rounds[durability].map(value));
    const sum = (value: (round: Round) => number): number =>
      rounds[durability].reduce((total, round) => total + value(round), 0);
    const row = {
      cpu: of(({ serverCpu }) => serverCpu),
      postgres: of(({ postgresCpu }) => postgresCpu),
      p50: of(({ p50Ms }) => p50Ms),
      p99: of(({ p99Ms }) => p99Ms),
      max: of(({ maxMs }) => maxMs),
    };
    say(
      `| ${durability} | ${row.cpu.toFixed(0)} µs | ${row.postgres.toFixed(0)} µs | ${row.p50.toFixed(2)} ms | ` +
        `${row.p99.toFixed(2)} ms | ${row.max.toFixed(1)} ms | ${sum(({ arrived }) => arrived)}/` +
        `${sum(({ sent }) => sent)} | ${sum(({ again }) => again)} |`,
    );
    return row;
  });
  const [spill, journal] = values;
  if (spill === undefined || journal === undefined) return;
  const ratio = (name: 'cpu' | 'p50' | 'p99'): string => (journal[name] / spill[name]).toFixed(2);
  say(`| ratio | ${ratio('cpu')} | | ${ratio('p50')} | ${ratio('p99')} | | | |`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN;
}

import pgPromise from 'pg-promise';
import { numberArgument } from './arguments.js';
import { MemoryWatch } from './memory.js';
import { cpuMicros, sleep, until } from './process.js';
import { AS_STARTED, BenchServer } from './server.js';
import { BenchTraffic, makeTrafficSubscribers, subscribeTraffic, type Strangers } from './traffic.js';

const ROWS = 30_000;
const FRESH_DEVICES = 500;
const FRESH_PER_SECOND = 500;
const BYTES = 1000;
/** The rows are written, and the server rests, before they are due. */
const DUE_IN_MS = 6000;
const TIMEOUT_MS = 120_000;

/** As large as a sealed message of 1 kB; what is in it is the device's business. */
const FILL = `
INSERT INTO outbox (id, service, account, svcid, svcdata, payload, content_kind, priority, expires_at_ms, dedupe_key,
  received_at_ms, attempts, due_at_ms)
SELECT gen_random_uuid(), 'apns', '\\x05'::bytea || sha256(('a' || n)::bytea),
  encode(sha256(($4 || 'd' || n)::bytea), 'hex'), NULL,
  convert_to(repeat('x', 1320), 'UTF8'), 'sealed', 'high', $3::bigint, decode(md5($4 || n), 'hex'), $2::bigint, 0,
  $2::bigint
FROM generate_series(1, $1::int) AS n`;

/** Pushes that waited on PostgreSQL go out: alone, and while others come in. */
export async function benchDrain(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const rows = numberArgument('drain-rows', ROWS);
  const traffic = await BenchTraffic.start();
  const server = await BenchServer.start(traffic.facts, databaseUrl, {}, AS_STARTED);
  const memory = new MemoryWatch(server.pid);
  await subscribeTraffic(traffic, server, makeTrafficSubscribers('apns', FRESH_DEVICES));
  const service = 'apns';

  const drain = async (round: string): Promise<{ strangers: Strangers; startedAt: number; cpu: number }> => {
    const before = await traffic.ask('strangers', null);
    const dueAtMs = Date.now() + DUE_IN_MS;
    await fill(databaseUrl, { rows, dueAtMs, round });
    if (Date.now() > dueAtMs - 500) throw new Error('the rows were not written before they were due');
    await sleep(dueAtMs - 200 - Date.now());
    const startedAt = performance.now();
    const cpuBefore = cpuMicros(server.pid);
    const gone = async (): Promise<boolean> =>
      (await traffic.ask('strangers', null)).arrived >= before.arrived + rows;
    await traffic.ask('forget-times', null);
    await until(gone, TIMEOUT_MS, 50);
    const cpu = (cpuMicros(server.pid) - cpuBefore) / rows;
    return { strangers: await traffic.ask('strangers', null), startedAt, cpu };
  };

  const warmUp = traffic.ask('flow', { service, perSecond: FRESH_PER_SECOND, bytes: BYTES, seconds: 8 });
  await warmUp;
  await sleep(1000);
  const restingMib = memory.peakMib(performance.now() - 1000);

  say(`${rows} pushes of 1 kB in the outbox on PostgreSQL, all due at once, to APNs:`);
  say('| | per second | in | CPU of the server per push | memory in each quarter of the time (before) |');
  say('|---|---|---|---|---|');
  const tell = (name: string, { strangers, startedAt, cpu }: Awaited<ReturnType<typeof drain>>): number => {
    const tookMs = strangers.lastAtMs - strangers.firstAtMs;
    const quarter = (performance.now() - startedAt) / 4;
    const peaks = [0, 1, 2, 3].map((index) =>
      memory.peakMib(startedAt + index * quarter, startedAt + (index + 1) * quarter).toFixed(0),
    );
    say(
      `| ${name} | ${((rows * 1000) / tookMs).toFixed(0)} | ${(tookMs / 1000).toFixed(1)} s | ${cpu.toFixed(0)} µs | ` +
        `${peaks.join(', ')} MiB (${restingMib.toFixed(0)}) |`,
    );
    return tookMs;
  };
  tell('alone', await drain('first'));
  tell('alone again', await drain('second'));

  const flow = traffic.ask('flow', {
    service,
    perSecond: FRESH_PER_SECOND,
    bytes: BYTES,
    seconds: DUE_IN_MS / 1000 + TIMEOUT_MS / 1000,
  });
  const withFresh = await drain('third');
  tell(`with ${FRESH_PER_SECOND}/s fresh ones`, withFresh);
  const { firstAtMs, lastAtMs, arrived, different } = withFresh.strangers;
  await sleep(2000);
  await traffic.ask('stop', null);
  await flow;
  await sleep(1000);
  const span = async (fromMs: number, toMs: number): Promise<string> => {
    const { p50Ms, p99Ms, maxMs, arrived, sent } = await traffic.ask('latencies', { service, fromMs, toMs });
    return `p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)}, at most ${maxMs.toFixed(1)} ms (${arrived}/${sent})`;
  };
  say('');
  say(`Fresh pushes to the same provider before: ${await span(firstAtMs - 4000, firstAtMs)};`);
  say(`while the outbox is drained: ${await span(firstAtMs, lastAtMs)}.`);
  const all = await traffic.ask('latencies', { service, fromMs: -Infinity, toMs: Infinity });
  say(
    `Fresh: ${all.arrived}/${all.sent} delivered, ${all.again} more than once; from the outbox: ${different} different ` +
      `ones in ${arrived} pushes.`,
  );
  memory.stop();
  await server.stop();
  traffic.stop();
}

async function fill(
  databaseUrl: string,
  { rows, dueAtMs, round }: { rows: number; dueAtMs: number; round: string },
): Promise<void> {
  const pgp = pgPromise({ noWarnings: true });
  const db = pgp(databaseUrl);
  await db.none(FILL, [rows, dueAtMs, dueAtMs + 3_600_000, round]);
  pgp.end();
}

import pgPromise from 'pg-promise';
import { residentBytes, sleep, until } from './process.js';
import { BenchServer } from './server.js';
import { BenchWorld } from './world.js';

/** Until the server has given back the memory of its start. */
const REST_MS = 35_000;

const INSERT = `
INSERT INTO subscriptions (account, session_ed25519, subaccount_tag, subaccount_sig, signature, signature_ts,
  want_data, enc_key, namespaces, service, svcid, svcdata, created_at_ms, renewed_at_ms)
SELECT '\\x03'::bytea || sha256(('a' || n)::bytea), NULL, NULL, NULL,
  sha256(('s' || n)::bytea) || sha256(('t' || n)::bytea), extract(epoch from now())::bigint,
  true, sha256(('k' || n)::bytea), '{0,2,3,4,5}', 'apns',
  encode(sha256(('d' || n)::bytea), 'hex'), NULL, 0, 0
FROM generate_series($1::int, $2::int) AS n`;

/** Subscriptions with the numbers from `first` to `last`. */
export async function fill(databaseUrl: string, first: number, last: number): Promise<void> {
  const pgp = pgPromise({ noWarnings: true });
  const db = pgp(databaseUrl);
  await db.none(INSERT, [first, last]);
  await db.none('ANALYZE subscriptions');
  pgp.end();
}

/** Time to load, time to register, memory per subscription; stalls of the event loop when swarms change. */
export async function benchLoad(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const emptyWorld = await BenchWorld.start();
  const empty = await BenchServer.start(emptyWorld.facts, databaseUrl);
  await sleep(REST_MS);
  const baseBytes = residentBytes(empty.pid);
  await empty.stop();
  emptyWorld.stop();
  say(
    '| subscriptions | index loaded after | registered with 5 nodes each after | RSS per subscription | longest stall |',
  );
  say('|---|---|---|---|---|');
  let filled = 0;
  for (const count of [100_000, 300_000]) {
    await fill(databaseUrl, filled + 1, count);
    filled = count;
    const world = await BenchWorld.start();
    const server = await BenchServer.start(world.facts, databaseUrl);
    const startedAt = Date.now();
    const loadedMs = await server.metric('waggle_index_load_seconds');
    await until(async () => (await world.ask('registered')) >= count * 5, 120_000, 50);
    const registeredMs = Date.now() - startedAt;
    const stall = await server.metric('waggle_event_loop_longest_stall_seconds');
    await sleep(REST_MS);
    const perSubscription = (residentBytes(server.pid) - baseBytes) / count;
    say(
      `| ${count} | ${loadedMs.toFixed(2)} s | ${(registeredMs / 1000).toFixed(1)} s later | ` +
        `${perSubscription.toFixed(0)} B | ${(stall * 1000).toFixed(0)} ms |`,
    );
    if (count === 100_000) await changes(world, server, say);
    await server.stop();
    world.stop();
  }
}

/** What made the original stand still for a minute. */
async function changes(world: BenchWorld, server: BenchServer, say: (line: string) => void): Promise<void> {
  const rows: string[] = [];
  for (const [what, kind] of [
    ['a new block', 'new-block'],
    ['a node restarts', 'restart-node'],
    ['a node moves to another swarm', 'move-node'],
  ] as const) {
    await server.metric('waggle_event_loop_longest_stall_seconds');
    const before = await world.ask('monitor-entries');
    await world.ask(kind);
    await sleep(6000);
    const entries = (await world.ask('monitor-entries')) - before;
    const stall = await server.metric('waggle_event_loop_longest_stall_seconds');
    rows.push(`${what}: longest stall ${(stall * 1000).toFixed(0)} ms, ${entries} entries sent again`);
  }
  say(`  at 100,000 accounts: ${rows.join('; ')}`);
}

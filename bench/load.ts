import pgPromise from 'pg-promise';
import { residentBytes, sleep, until } from './process.js';
import { BenchServer } from './server.js';
import { BenchWorld } from './world.js';

export const INSERT = `
INSERT INTO subscriptions (account, session_ed25519, subaccount_tag, subaccount_sig, signature, signature_ts,
  want_data, enc_key, namespaces, service, svcid, svcdata, created_at_ms, renewed_at_ms)
SELECT '\\x03'::bytea || sha256(('a' || n)::bytea), NULL, NULL, NULL,
  sha256(('s' || n)::bytea) || sha256(('t' || n)::bytea), extract(epoch from now())::bigint,
  true, sha256(('k' || n)::bytea), '{0,2,3,4,5}', 'apns',
  encode(sha256(('d' || n)::bytea), 'hex'), NULL, 0, 0
FROM generate_series($1::int, $2::int) AS n`;

/** Time to load, time to register, memory per subscription; stalls of the event loop when swarms change. */
export async function benchLoad(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const empty = await BenchServer.start(null, databaseUrl);
  await sleep(2000);
  const baseBytes = residentBytes(empty.pid);
  await empty.stop();
  const pgp = pgPromise({ noWarnings: true });
  const db = pgp(databaseUrl);
  say(
    '| subscriptions | index loaded after | registered with 5 nodes each after | RSS per subscription | longest stall |',
  );
  say('|---|---|---|---|---|');
  let filled = 0;
  for (const count of [100_000, 300_000]) {
    await db.none(INSERT, [filled + 1, count]);
    await db.none('ANALYZE subscriptions');
    filled = count;
    const world = await BenchWorld.start();
    const server = await BenchServer.start(world.facts, databaseUrl);
    const startedAt = Date.now();
    const loadedMs = await server.metric('waggle_index_load_seconds');
    await until(async () => (await world.ask('registered')) >= count * 5, 120_000, 50);
    const registeredMs = Date.now() - startedAt;
    await sleep(3000);
    const perSubscription = (residentBytes(server.pid) - baseBytes) / count;
    const stall = await server.metric('waggle_event_loop_longest_stall_seconds');
    say(
      `| ${count} | ${loadedMs.toFixed(2)} s | ${(registeredMs / 1000).toFixed(1)} s later | ` +
        `${perSubscription.toFixed(0)} B | ${(stall * 1000).toFixed(0)} ms |`,
    );
    if (count === 100_000) await changes(world, server, say);
    await server.stop();
    world.stop();
  }
  pgp.end();
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

import { makeSubscribers, subscribeAll } from './delivery.js';
import { sleep, until } from './process.js';
import { BenchServer } from './server.js';
import { BenchWorld } from './world.js';

const DEVICES = 2000;

/** From a node to the provider at 500 messages/s, with Node's young generation as it is and small. */
export async function benchLatency(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const subscribers = makeSubscribers(DEVICES);
  const devices = subscribers.map(({ device: { account, token } }) => ({ account, token }));
  const requests = subscribers.map(({ request }) => request);
  say('1,000 B, 5 copies, 500 messages/s for 10 s, four times; the first warms up:');
  say('| node flags | p50 | p99 | max | delivered |');
  say('|---|---|---|---|---|');
  for (const flags of [[], ['--max-semi-space-size=4']]) {
    const world = await BenchWorld.start();
    const server = await BenchServer.start(world.facts, databaseUrl, {}, flags);
    await subscribeAll(server, requests);
    await until(async () => (await world.ask('registered')) >= DEVICES * 5, 30_000);
    await sleep(1000);
    for (let round = 0; round < 4; round += 1) {
      const run = await world.run({ devices, messages: 5000, perSecond: 500, copies: 5, bytes: 1000 });
      say(
        `| ${flags.join(' ') || 'none'} | ${run.p50Ms.toFixed(2)} ms | ${run.p99Ms.toFixed(2)} ms | ` +
          `${run.maxMs.toFixed(1)} ms | ${run.delivered}/5000 |`,
      );
    }
    await server.stop();
    world.stop();
  }
}

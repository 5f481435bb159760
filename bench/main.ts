import { findPostgres, startPostgres } from '../test/simulators/postgres.js';
import { benchDelivery } from './delivery.js';
import { benchLatency } from './latency.js';
import { benchLoad } from './load.js';
import { BenchServer } from './server.js';
import { benchStages } from './stages.js';
import { benchSubscribe } from './subscribe.js';

/*
 *   npm run bench                    everything
 *   npm run bench -- delivery load   some of: stages delivery latency load subscribe
 *
 * Everything runs on this machine over loopback, bounded in count and time. Linux and PostgreSQL's binaries are needed.
 */

const benches = {
  stages: (_url: string, say: (line: string) => void) => benchStages(say),
  delivery: benchDelivery,
  latency: benchLatency,
  load: benchLoad,
  subscribe: benchSubscribe,
} as const;
type Name = keyof typeof benches;

const wanted = process.argv.slice(2).filter((name): name is Name => name in benches);
const say = (line: string): void => console.log(line);
const bin = await findPostgres();
if (bin === null) {
  console.error('The benchmarks need PostgreSQL: apt-get install postgresql');
  process.exit(1);
}
BenchServer.build();
const postgres = await startPostgres(bin);
try {
  for (const name of wanted.length > 0 ? wanted : (Object.keys(benches) as Name[])) {
    say(`\n## ${name}\n`);
    await benches[name](await postgres.createDatabase(), say);
  }
} finally {
  await postgres.remove();
}
process.exit(0);

import { mendAsyncResourceBind } from '../src/lifecycle/async-resource-bind.js';
import { findPostgres, startPostgres } from '../test/simulators/postgres.js';
import { benchDelivery } from './delivery.js';
import { benchDrain } from './drain.js';
import { benchJournal } from './journal.js';
import { benchLatency } from './latency.js';
import { benchLegacy } from './legacy.js';
import { benchImport } from './legacy-import.js';
import { benchLoad } from './load.js';
import { benchOutage } from './outage.js';
import { benchProviders } from './providers.js';
import { BenchServer } from './server.js';
import { benchStages } from './stages.js';
import { benchSubscribe } from './subscribe.js';
import { benchThrottle } from './throttle.js';
import { benchUwpx } from './uwpx.js';
import { benchXmpp } from './xmpp.js';
import { benchXmppProsody } from './xmpp-prosody.js';
import { benchXmppRegistrations } from './xmpp-registrations.js';

/*
 *   npm run bench                    everything
 *   npm run bench -- delivery load   some of: stages providers delivery latency load subscribe outage throttle drain
 *                                    journal legacy import xmpp xmpp-registrations xmpp-prosody uwpx
 *
 * Shorter or harder: --outage-seconds=60 --outage-rate=500 --throttle-rate=500 --drain-rows=30000 --journal-rate=500
 * --journal-seconds=10 --import-rows=100000; those of legacy, xmpp and uwpx are in their files.
 *
 * Everything runs on this machine over loopback, bounded in count and time. Linux and PostgreSQL's binaries are needed,
 * but neither for stages nor for providers.
 */

type Say = (line: string) => void;

/** What is measured inside this process. */
const alone: Readonly<Record<string, (say: Say) => Promise<void>>> = {
  stages: benchStages,
  providers: benchProviders,
};

/** What needs the built server and a database. */
const withServer: Readonly<Record<string, (databaseUrl: string, say: Say) => Promise<void>>> = {
  delivery: benchDelivery,
  latency: benchLatency,
  load: benchLoad,
  subscribe: benchSubscribe,
  outage: benchOutage,
  throttle: benchThrottle,
  drain: benchDrain,
  journal: benchJournal,
  legacy: benchLegacy,
  import: benchImport,
  xmpp: benchXmpp,
  'xmpp-registrations': benchXmppRegistrations,
  'xmpp-prosody': benchXmppProsody,
  uwpx: benchUwpx,
};

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const wanted = (benches: object): string[] =>
  Object.keys(benches).filter((name) => named.length === 0 || named.includes(name));
const say: Say = (line) => console.log(line);

// As the server has it.
mendAsyncResourceBind();

for (const name of wanted(alone)) {
  say(`\n## ${name}\n`);
  await alone[name]?.(say);
}
if (wanted(withServer).length > 0) await runWithServer(wanted(withServer));
process.exit(0);

async function runWithServer(names: readonly string[]): Promise<void> {
  const bin = await findPostgres();
  if (bin === null) {
    console.error('These benchmarks need PostgreSQL: apt-get install postgresql');
    process.exit(1);
  }
  BenchServer.build();
  const postgres = await startPostgres(bin);
  try {
    for (const name of names) {
      say(`\n## ${name}\n`);
      await withServer[name]?.(await postgres.createDatabase(), say);
    }
  } finally {
    await postgres.remove();
  }
}

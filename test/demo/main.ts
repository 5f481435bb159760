import { parseArgs } from 'node:util';
import { runLegacyScenario } from './legacy.js';
import { Promises, say, seconds, type StayIfAsked } from './output.js';
import { runSessionScenario } from './session.js';
import { runXmppScenario } from './xmpp.js';

/*
 *   npm run demo                        Session's clients of today, and every type of notifier
 *   npm run demo -- --scenario legacy   older clients: SPNS v1 and Bchat
 *   npm run demo -- --scenario xmpp     users of an XMPP server, and UWPX
 *   npm run demo -- --stay              leaves everything running for play, until Ctrl-C
 */

type Scenario = (promises: Promises, stayIfAsked: StayIfAsked) => Promise<void>;

const scenarios: ReadonlyMap<string, Scenario> = new Map([
  ['session', runSessionScenario],
  ['legacy', runLegacyScenario],
  ['xmpp', runXmppScenario],
]);

/** Whatever hangs: the demo ends by itself, with an error. */
const LIMIT_MS = 90_000;

const { values } = parseArgs({
  options: { scenario: { type: 'string', default: 'session' }, stay: { type: 'boolean', default: false } },
});
const scenario = scenarios.get(values.scenario);
if (scenario === undefined) {
  say(`there is no scenario ${values.scenario}; there is: ${[...scenarios.keys()].join(', ')}`);
  process.exit(64);
}

const startedAt = performance.now();
const promises = new Promises();
const limit = setTimeout(() => {
  say(`✗ not finished after ${seconds(LIMIT_MS)}`);
  process.exit(1);
}, LIMIT_MS);

let isFinished = false;
try {
  await scenario(promises, stayIfAsked);
  isFinished = true;
} catch (error) {
  say(`✗ ${error instanceof Error ? error.message : String(error)}`);
}
clearTimeout(limit);
say();
say(`${isFinished && promises.areKept ? 'Done' : 'Failed'} after ${seconds(performance.now() - startedAt)}.`);
process.exit(isFinished && promises.areKept ? 0 : 1);

async function stayIfAsked(whatToTry: string): Promise<void> {
  if (!values.stay) return;
  clearTimeout(limit);
  say(`Everything keeps running. Try: ${whatToTry}    Ctrl-C ends it.`);
  await new Promise((resolve) => process.once('SIGINT', resolve));
}

import { numberArgument } from './arguments.js';
import { AskedProcess } from './asked-process.js';
import type { LegacyProviderCalls } from './legacy-providers.js';
import { mustBeDone } from './load-flow.js';
import { postgresOf } from './postgres-cpu.js';
import { cpuMicros } from './process.js';
import type { XmppSubject } from './xmpp-load.js';
import { startXmppLoad, startXmppServer } from './xmpp-server.js';

/*
 * Registrations of XMPP users' devices over HTTP and over the component connection, each answered when PostgreSQL has
 * committed it, from a process of its own.
 *
 *   --xmpp-registrations=10000     of each kind
 *   --xmpp-profile                 writes a CPU profile of the server
 */

const CLIENTS = 32;
const WARM_UP = 4000;
/** New phones are numbered from here, each kind its own. */
const FIRST_NEW = 10_000_000;
/** Of the plan. */
const MOST_MICROS = 200;
/** Nobody's limit is what is measured here; one domain's standard is 30,000 a minute. */
const NO_LIMIT = 10_000_000;

type Kind = Exclude<XmppSubject['kind'], 'publish'>;

const names: Readonly<Record<Kind, string>> = {
  'register-http': 'HTTP, /push_appserver/v1/register',
  'register-v1': 'ad-hoc v1-register-push',
  'register-p2': 'ad-hoc register-push-fcm (p2)',
};

export async function benchXmppRegistrations(
  databaseUrl: string,
  say: (line: string) => void,
): Promise<void> {
  const count = numberArgument('xmpp-registrations', 10_000);
  const providers = await AskedProcess.start<LegacyProviderCalls>('legacy-providers-process');
  const facts = await providers.ask('facts', null);
  const { load, port } = await startXmppLoad();
  const xmpp = { registrationsPerMinutePerDomain: NO_LIMIT };
  const server = await startXmppServer({ facts, databaseUrl, port, xmpp });
  try {
    await load.ask('online', null);
    await load.ask('http', server.http);
    const postgres = await postgresOf(databaseUrl);
    say(
      `${count} of each, ${CLIENTS} under way at any time, PostgreSQL, commits as it comes (fsync as the tests' ` +
        `database has it); CPU of the whole server per registration, at most ${MOST_MICROS} µs:`,
    );
    say('| | | per second | CPU of ours | of PostgreSQL | p50 | p99 |');
    say('|---|---|---|---|---|---|---|');
    let first = FIRST_NEW;
    for (const kind of ['register-http', 'register-v1', 'register-p2'] as const) {
      const run = async (from: number, many: number, as: string | null): Promise<void> => {
        const [before, postgresBefore] = [cpuMicros(server.pid), postgres.cpuMicros()];
        const flow = { count: many, seconds: 60, perSecond: null, lanes: CLIENTS };
        const result = mustBeDone(await load.ask('run', { ...flow, subject: { kind, first: from } }));
        if (result.sent !== many) throw new Error(`${result.sent} instead of ${many} in time`);
        const [cpu, postgresCpu] = [cpuMicros(server.pid) - before, postgres.cpuMicros() - postgresBefore];
        if (as === null) return;
        say(
          `| ${names[kind]} | ${as} | ${(many / result.seconds).toFixed(0)} | ${(cpu / many).toFixed(0)} µs ` +
            `| ${(postgresCpu / many).toFixed(0)} µs | ${result.p50Ms.toFixed(1)} ms | ${result.p99Ms.toFixed(1)} ms |`,
        );
      };
      await run(first, WARM_UP, null);
      await run(first, WARM_UP, null);
      first += WARM_UP;
      await run(first, count, 'new');
      await run(first, count, 'again');
      first += count;
    }
  } finally {
    await server.stop();
    load.stop();
    providers.stop();
  }
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../test/simulators/certificates.js';
import { freePorts } from '../test/simulators/xmpp/peer-process.js';
import { numberArgument } from './arguments.js';
import { AskedProcess } from './asked-process.js';
import { mustBeDone } from './load-flow.js';
import { postgresOf } from './postgres-cpu.js';
import { cpuMicros, until } from './process.js';
import { BenchServer } from './server.js';
import type { UwpxLoadCalls, UwpxLoadRun } from './uwpx-load.js';
import { COMPONENT_DOMAIN, COMPONENT_SECRET } from './xmpp-people.js';
import { xmppFlags } from './xmpp-server.js';

/*
 * Registrations of UWPX over TLS: a channel and three accounts, two messages and two answers each, committed by
 * PostgreSQL, from a process of its own.
 *
 *   --uwpx-rate=1000 --uwpx-seconds=20     sustained, on connections that are kept
 *   --uwpx-registrations=10000             as many per second as there can be
 *   --uwpx-connections=3000                each on one of its own
 *   --xmpp-profile                         writes a CPU profile of the server
 */

/** At a pace, so that nothing waits for a connection. */
const PACED_CONNECTIONS = 64;
const CLIENTS = 32;
const WARM_UP = 4000;
const READY_TIMEOUT_MS = 60_000;
const LONGEST_SECONDS = 60;

export async function benchUwpx(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  const load = await AskedProcess.start<UwpxLoadCalls>('uwpx-load-process');
  let server: BenchServer | null = null;
  try {
    const authority = createAuthority();
    const { certPem, keyPem } = authority.issueServer();
    const certificateFile = join(directory, 'uwpx.pem');
    writeFileSync(certificateFile, certPem + keyPem, { mode: 0o600 });
    const [port = 0] = await freePorts(1);
    server = await BenchServer.start(null, databaseUrl, sections(port, certificateFile), xmppFlags());
    const started = server;
    await until(() => started.isReady(), READY_TIMEOUT_MS);
    await load.ask('server', { port, caPem: authority.certPem });
    await measure(started, load, databaseUrl, say);
  } finally {
    await server?.stop();
    load.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Nobody is pushed to: nobody listens where the notifier and the component connect. */
const sections = (
  port: number,
  certificateFile: string,
): Readonly<Record<string, Readonly<Record<string, unknown>>>> => ({
  session: { enabled: false },
  legacy: { enabled: false },
  brands: { session: { enabled: false }, bchat: { enabled: false } },
  keys: { registrations: 'registrations.key' },
  notifiers: {
    wns: {
      type: 'wns',
      packageSid: 'ms-app://s-1-15-2-1',
      clientSecret: 'secret',
      endpoint: 'https://127.0.0.1:9',
      tokenEndpoint: 'https://127.0.0.1:9/accesstoken.srf',
    },
  },
  uwpx: { enabled: true, host: '127.0.0.1', port, certificateFile },
  xmpp: {
    enabled: true,
    httpEnabled: false,
    components: { [COMPONENT_DOMAIN]: { host: '127.0.0.1', port: 9, secret: COMPONENT_SECRET } },
  },
});

async function measure(
  server: BenchServer,
  load: AskedProcess<UwpxLoadCalls>,
  databaseUrl: string,
  say: (line: string) => void,
): Promise<void> {
  const perSecond = numberArgument('uwpx-rate', 1000);
  const seconds = numberArgument('uwpx-seconds', 20);
  const many = numberArgument('uwpx-registrations', 10_000);
  const fresh = numberArgument('uwpx-connections', 3000);
  const postgres = await postgresOf(databaseUrl);
  const run = async (name: string | null, flow: UwpxLoadRun): Promise<void> => {
    const [before, postgresBefore] = [cpuMicros(server.pid), postgres.cpuMicros()];
    const loadBefore = cpuMicros(load.pid);
    const result = mustBeDone(await load.ask('run', flow));
    if (result.sent !== flow.count) throw new Error(`${result.sent} instead of ${flow.count} in time`);
    const each = (cpu: number): string => `${(cpu / flow.count).toFixed(0)} µs`;
    const [cpu, postgresCpu] = [cpuMicros(server.pid) - before, postgres.cpuMicros() - postgresBefore];
    if (name === null) return;
    say(
      `| ${name} | ${flow.count} | ${(flow.count / result.seconds).toFixed(0)} | ${each(cpu)} | ${each(postgresCpu)} ` +
        `| ${each(cpuMicros(load.pid) - loadBefore)} | ${result.p50Ms.toFixed(1)} ms | ${result.p99Ms.toFixed(1)} ms |`,
    );
  };
  const closed = { perSecond: null, seconds: LONGEST_SECONDS, lanes: CLIENTS, connections: 'kept' } as const;
  say(
    'Registrations (channel and three accounts, two messages) over TLS 1.3, PostgreSQL; CPU per registration of the ' +
      'whole server, of PostgreSQL and of the clients, times for both messages together:',
  );
  say('| | registrations | per second | server | PostgreSQL | clients | p50 | p99 |');
  say('|---|---|---|---|---|---|---|---|');
  await run(null, { ...closed, first: 0, count: WARM_UP });
  await run(null, { ...closed, first: 0, count: WARM_UP });
  let first = WARM_UP;
  const count = Math.floor(perSecond * seconds);
  const paced = { perSecond, seconds: 2 * seconds, lanes: PACED_CONNECTIONS, connections: 'kept' } as const;
  await run(`${perSecond}/s, new devices, ${PACED_CONNECTIONS} connections kept`, { ...paced, first, count });
  first += count;
  await run(`as many as ${CLIENTS} clients can, new devices, connections kept`, {
    ...closed,
    first,
    count: many,
  });
  await run(`the same devices again`, { ...closed, first, count: many });
  first += many;
  await run(`a new connection each, ${CLIENTS} at a time, whole handshakes`, {
    ...closed,
    connections: 'new',
    first,
    count: fresh,
  });
}

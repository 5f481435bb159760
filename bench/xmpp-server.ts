import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AskedProcess, SHORT_PAUSES } from './asked-process.js';
import { until } from './process.js';
import { AS_STARTED, BenchServer, firebaseEntry } from './server.js';
import type { WorldFacts } from './world.js';
import type { XmppLoadCalls } from './xmpp-load.js';
import { COMPONENT_DOMAIN, COMPONENT_SECRET } from './xmpp-people.js';

const READY_TIMEOUT_MS = 60_000;

/** `--xmpp-profile` writes CPU profiles of the server and of the bare client. */
export const xmppFlags = (): readonly string[] =>
  process.argv.includes('--xmpp-profile')
    ? [...AS_STARTED, '--cpu-prof', `--cpu-prof-dir=${join(tmpdir(), 'waggle-profiles')}`]
    : AS_STARTED;

export interface XmppServerSettings {
  readonly facts: WorldFacts;
  readonly databaseUrl: string;
  /** Of the XMPP server's components; null: there is none. */
  readonly port: number | null;
  /** Further options of the section `xmpp`. */
  readonly xmpp?: Readonly<Record<string, unknown>>;
  /** Further sections. */
  readonly more?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** As config/xmpp.yaml has it: an app server for XMPP servers and nothing else. Resolves when it is ready. */
export async function startXmppServer({
  facts,
  databaseUrl,
  port,
  xmpp = {},
  more = {},
}: XmppServerSettings): Promise<BenchServer> {
  const component = { host: '127.0.0.1', port: port ?? 0, secret: COMPONENT_SECRET };
  const sections = {
    session: { enabled: false, oxend: null },
    legacy: { enabled: false },
    brands: { session: { enabled: false }, bchat: { enabled: false } },
    keys: { registrations: 'registrations.key' },
    notifiers: { firebase: firebaseEntry(facts) },
    xmpp: { enabled: true, components: port === null ? {} : { [COMPONENT_DOMAIN]: component }, ...xmpp },
    ...more,
  };
  const server = await BenchServer.start(facts, databaseUrl, sections, xmppFlags());
  await until(() => server.isReady(), READY_TIMEOUT_MS);
  return server;
}

/** The XMPP server in a process of its own. */
export async function startXmppLoad(): Promise<{
  readonly load: AskedProcess<XmppLoadCalls>;
  readonly port: number;
}> {
  const load = await AskedProcess.start<XmppLoadCalls>('xmpp-load-process', SHORT_PAUSES);
  return { load, port: await load.ask('open', null) };
}

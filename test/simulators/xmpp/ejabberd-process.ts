import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { binary, CONTROL_LOOP, EjabberdControl } from './ejabberd-control.js';
import { freePorts, PeerProcess, startWhenPortsAreFree } from './peer-process.js';
import {
  defaultSettings,
  newAccount,
  type Account,
  type ComponentSecret,
  type PushRegistration,
  type RealServerSettings,
  type RealXmppServer,
} from './real-server.js';

export const HOW_TO_GET_EJABBERD = 'skipped on ejabberd, which is not installed: apt-get install ejabberd';

const ERLANG = '/usr/bin/erl';

/** The directory of Erlang's libraries with ejabberd among them (/usr/lib/<architecture>); null: not installed. */
export async function findEjabberd(): Promise<string | null> {
  try {
    await access(ERLANG);
    for (const entry of await readdir('/usr/lib', { withFileTypes: true })) {
      if (!entry.isDirectory() || !entry.name.includes('-linux-')) continue;
      const directory = join('/usr/lib', entry.name);
      if ((await readdir(directory)).some((name) => name.startsWith('ejabberd-'))) return directory;
    }
  } catch {
    // Not installed.
  }
  return null;
}

export interface EjabberdSettings extends RealServerSettings {
  /** Options of mod_push. Default: `include_body: New message`, as ejabberd's own. */
  readonly push?: Readonly<Record<string, string | boolean>>;
  /** Modules and their options, besides what it always has: mod_push, mod_offline, mod_stream_mgmt, discovery, ping. */
  readonly modules?: Readonly<Record<string, object>>;
}

/**
 * A real ejabberd, started as a plain Erlang program: not by `ejabberdctl`, which wants its own user and a name and a
 * port on the machine for each server. Takes about a second to start.
 */
export class EjabberdProcess implements RealXmppServer {
  readonly kind = 'ejabberd';
  readonly component: ComponentSecret;
  #control: EjabberdControl;
  #isFrozen = false;

  private constructor(
    readonly domain: string,
    readonly clientPort: number,
    readonly componentPort: number,
    components: readonly ComponentSecret[],
    private readonly directory: string,
    private readonly process: PeerProcess,
  ) {
    this.component = components[0] ?? defaultSettings.components[0];
    this.#control = new EjabberdControl(process.child);
  }

  static async start(settings: EjabberdSettings = {}): Promise<EjabberdProcess> {
    const libraries = await findEjabberd();
    if (libraries === null) throw new Error(HOW_TO_GET_EJABBERD);
    const { domain = defaultSettings.domain, components = defaultSettings.components } = settings;
    for (;;) {
      const directory = await mkdtemp(join(tmpdir(), 'waggle-ejabberd-'));
      const [clientPort = 0, componentPort = 0] = await freePorts(2);
      await mkdir(join(directory, 'spool'));
      await writeFile(
        join(directory, 'ejabberd.yml'),
        stringify(configuration(clientPort, componentPort, { ...settings, domain, components })),
      );
      await writeFile(join(directory, 'inetrc'), NAMES_FROM_NOWHERE);
      const process = new PeerProcess({
        name: 'ejabberd',
        command: ERLANG,
        args: [
          // Its threads sleep when they wait: spinning, they keep each other from a busy machine's processors for minutes.
          ...['+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none'],
          '-noshell',
          ...['-mnesia', 'dir', `"${join(directory, 'spool')}"`],
          ...['-ejabberd', 'quiet', 'true'],
          ...['-s', 'ejabberd'],
          ...['-eval', CONTROL_LOOP],
        ],
        env: {
          PATH: '/usr/local/bin:/usr/bin:/bin',
          LC_ALL: 'C.UTF-8',
          HOME: directory,
          ERL_LIBS: libraries,
          ERL_INETRC: join(directory, 'inetrc'),
          ERL_CRASH_DUMP_SECONDS: '0',
          EJABBERD_CONFIG_PATH: join(directory, 'ejabberd.yml'),
          EJABBERD_LOG_PATH: join(directory, 'ejabberd.log'),
        },
        directory,
        logFile: join(directory, 'ejabberd.log'),
        ready: [
          `Start accepting TCP connections at 127.0.0.1:${clientPort} `,
          `Start accepting TCP connections at 127.0.0.1:${componentPort} `,
        ],
        portTaken: ['address already in use', 'eaddrinuse'],
        pipesStdout: true,
      });
      try {
        const state = await process.start();
        const server = new EjabberdProcess(domain, clientPort, componentPort, components, directory, process);
        if (state === 'ready') return server;
        await server.remove();
      } catch (error) {
        await process.dispose();
        await rm(directory, { recursive: true, force: true });
        throw error;
      }
    }
  }

  get isRunning(): boolean {
    return this.process.isRunning;
  }

  /** The value of an Erlang expression, evaluated in the running server: what `ejabberdctl` has no command for. */
  evaluate(expression: string): Promise<unknown> {
    return this.#control.evaluate(expression);
  }

  async addAccount(name?: string): Promise<Account> {
    const account = newAccount(this.domain, name);
    const parts = [account.name, this.domain, account.password].map(binary).join(', ');
    const isAdded = await this.evaluate(`ejabberd_auth:try_register(${parts}) == ok.`);
    if (isAdded !== true) throw new Error(`ejabberd does not take the account ${account.name}`);
    return account;
  }

  /** The server is running. */
  async registrations(account: Account): Promise<readonly PushRegistration[]> {
    const rows = await this.evaluate(
      `[[jid:encode(Service), Node, case Form of undefined -> <<>>; _ -> fxml:element_to_binary(Form) end]
        || {push_session, _, _, Service, Node, Form}
           <- mnesia:dirty_read(push_session, {${binary(account.name)}, ${binary(this.domain)}})].`,
    );
    if (!Array.isArray(rows)) throw new Error('ejabberd lists its registrations');
    return rows.map((row: unknown) => {
      const [jid = '', node = '', form = ''] = Array.isArray(row) ? row.map(String) : [];
      return { jid, node: node === '' ? null : node, secret: secretIn(form) };
    });
  }

  stop(): Promise<void> {
    return this.process.end('SIGTERM');
  }

  /**
   * What it has answered for is on the disk before, unless it is frozen: ejabberd takes its time with that, and forgets
   * the accounts and registrations of the last moments in a crash. That is its business, and would be a test's bad luck.
   */
  async kill(): Promise<void> {
    if (this.isRunning && !this.#isFrozen) await this.evaluate(WRITE_ALL);
    await this.process.end('SIGKILL');
  }

  async start(): Promise<void> {
    this.#isFrozen = false;
    await startWhenPortsAreFree(this.process);
    this.#control = new EjabberdControl(this.process.child);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  freeze(): void {
    this.#isFrozen = true;
    this.process.signal('SIGSTOP');
  }

  thaw(): void {
    this.#isFrozen = false;
    this.process.signal('SIGCONT');
  }

  log(): Promise<string> {
    return this.process.log();
  }

  async remove(): Promise<void> {
    await this.process.dispose();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What is in memory only of tables that are kept on disk. */
const WRITE_ALL = `
  dumped = mnesia:dump_log(),
  [dets:sync(T) || T <- mnesia:system_info(tables), mnesia:table_info(T, storage_type) == disc_only_copies],
  true.
`;

/** Without a component it asks DNS for its domain; on whatever machine, the answer is "no such name", and at once. */
const NAMES_FROM_NOWHERE =
  '{resolv_conf, ""}.\n{lookup, [file]}.\n{nameserver, {127,0,0,1}}.\n{retry, 1}.\n{timeout, 100}.\n';

function configuration(
  clientPort: number,
  componentPort: number,
  {
    domain,
    components,
    push = { include_body: 'New message' },
    modules = {},
  }: EjabberdSettings & Required<RealServerSettings>,
): object {
  return {
    hosts: [domain],
    loglevel: 'info',
    auth_method: 'internal',
    // The SCRAM of @xmpp/client 0.13 is refused by Prosody and ejabberd alike.
    disable_sasl_mechanisms: ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'digest-md5', 'X-OAUTH2'],
    listen: [
      { port: clientPort, ip: '127.0.0.1', module: 'ejabberd_c2s', starttls: false },
      {
        port: componentPort,
        ip: '127.0.0.1',
        module: 'ejabberd_service',
        access: 'all',
        hosts: Object.fromEntries(components.map(({ domain, secret }) => [domain, { password: secret }])),
      },
    ],
    acl: { local: { user_regexp: '' } },
    access_rules: { local: { allow: 'local' } },
    s2s_dns_timeout: 1,
    s2s_dns_retries: 0,
    modules: {
      mod_disco: {},
      mod_offline: {},
      mod_ping: {},
      mod_stream_mgmt: {},
      mod_push: push,
      ...modules,
    },
  };
}

const secretIn = (form: string): string | null =>
  /<field[^>]*var='secret'[^>]*>\s*<value>([^<]*)<\/value>/.exec(form)?.[1] ?? null;

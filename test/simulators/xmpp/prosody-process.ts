import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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

const run = promisify(execFile);

export const HOW_TO_GET_PROSODY =
  'skipped on Prosody, which is not installed: apt-get install prosody prosody-modules';

const PROGRAM = '/usr/bin/prosody';
/** Debian 12 has it in `prosody-modules`, Debian 13 in `prosody`; once as a directory, once as a file. */
const PUSH_MODULES = [
  '/usr/lib/prosody/modules/mod_cloud_notify/mod_cloud_notify.lua',
  '/usr/lib/prosody/modules/mod_cloud_notify.lua',
];

/** Prosody and its mod_cloud_notify are installed. */
export async function hasProsody(): Promise<boolean> {
  const isThere = (file: string): Promise<boolean> =>
    access(file).then(
      () => true,
      () => false,
    );
  if (!(await isThere(PROGRAM))) return false;
  return (await Promise.all(PUSH_MODULES.map(isThere))).includes(true);
}

export interface ProsodySettings extends RealServerSettings {
  /** Besides what it always has: mod_cloud_notify, mod_smacks, mod_offline, service discovery, ping. */
  readonly modules?: readonly string[];
  /** Lines of its configuration in its own language, before the first host. */
  readonly lines?: readonly string[];
}

/** A real Prosody. Takes a tenth of a second to start. */
export class ProsodyProcess implements RealXmppServer {
  readonly kind = 'prosody';
  readonly component: ComponentSecret;

  private constructor(
    readonly domain: string,
    readonly clientPort: number,
    readonly componentPort: number,
    components: readonly ComponentSecret[],
    private readonly directory: string,
    private readonly process: PeerProcess,
  ) {
    this.component = components[0] ?? defaultSettings.components[0];
  }

  static async start(settings: ProsodySettings = {}): Promise<ProsodyProcess> {
    const { domain = defaultSettings.domain, components = defaultSettings.components } = settings;
    for (;;) {
      const directory = await mkdtemp(join(tmpdir(), 'waggle-prosody-'));
      const [clientPort = 0, componentPort = 0] = await freePorts(2);
      await mkdir(join(directory, 'data'));
      await mkdir(join(directory, 'certs'));
      await writeFile(join(directory, 'mod_lifeline.lua'), LIFELINE);
      await writeFile(
        join(directory, 'prosody.cfg.lua'),
        configuration(directory, clientPort, componentPort, { ...settings, domain, components }),
      );
      const process = new PeerProcess({
        name: 'Prosody',
        command: PROGRAM,
        args: ['--config', join(directory, 'prosody.cfg.lua'), '-F'],
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
        directory,
        logFile: join(directory, 'prosody.log'),
        ready: [
          `Activated service 'c2s' on [127.0.0.1]:${clientPort}`,
          `Activated service 'component' on [127.0.0.1]:${componentPort}`,
        ],
        portTaken: ['Failed to open server port'],
        pipesStdout: false,
      });
      const server = new ProsodyProcess(domain, clientPort, componentPort, components, directory, process);
      try {
        if ((await process.start()) === 'ready') return server;
      } catch (error) {
        await server.remove();
        throw error;
      }
      await server.remove();
    }
  }

  get isRunning(): boolean {
    return this.process.isRunning;
  }

  async addAccount(name?: string): Promise<Account> {
    const account = newAccount(this.domain, name);
    const accounts = this.#storage('accounts');
    await mkdir(accounts, { recursive: true });
    await writeFile(
      join(accounts, `${account.name}.dat`),
      `return { ["password"] = ${JSON.stringify(account.password)} };\n`,
    );
    return account;
  }

  async registrations(account: Account): Promise<readonly PushRegistration[]> {
    const file = join(this.#storage('cloud_notify'), `${account.name}.dat`);
    const { stdout } = await run(await luaOfProsody(), ['-e', LIST_REGISTRATIONS, '/dev/null', file]);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [jid = null, node = null, secret = null] = line.split(' ').map(fromHex);
        return { jid: jid ?? '', node, secret };
      });
  }

  stop(): Promise<void> {
    return this.process.end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.process.end('SIGKILL');
  }

  start(): Promise<void> {
    return startWhenPortsAreFree(this.process);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  freeze(): void {
    this.process.signal('SIGSTOP');
  }

  thaw(): void {
    this.process.signal('SIGCONT');
  }

  log(): Promise<string> {
    return this.process.log();
  }

  async remove(): Promise<void> {
    await this.process.dispose();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** The directory of one of its stores; it writes other characters of the domain than letters and digits as %xx. */
  #storage(name: string): string {
    const host = this.domain.replaceAll(/[^a-z0-9]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
    return join(this.directory, 'data', host, name);
  }
}

const MODULES = [
  ...['posix', 'saslauth', 'roster', 'disco', 'ping'],
  ...['offline', 'smacks', 'cloud_notify'],
  'lifeline',
];

/** JSON strings are Lua strings as long as they are plain. */
const quoted = (text: string): string => JSON.stringify(text);
const list = (texts: readonly string[]): string => `{ ${texts.map(quoted).join(', ')} }`;

function configuration(
  directory: string,
  clientPort: number,
  componentPort: number,
  { domain, components, modules = [], lines = [] }: ProsodySettings & Required<RealServerSettings>,
): string {
  return [
    // Elsewhere it refuses; in a container there is often nobody else.
    'run_as_root = true',
    `data_path = ${quoted(join(directory, 'data'))}`,
    `plugin_paths = ${list([directory])}`,
    `pidfile = ${quoted(join(directory, 'prosody.pid'))}`,
    `log = { { levels = { min = "info" }, to = "file", filename = ${quoted(join(directory, 'prosody.log'))} } }`,
    `certificates = ${quoted(join(directory, 'certs'))}`,
    `modules_enabled = ${list([...MODULES, ...modules])}`,
    'modules_disabled = { "s2s", "s2s_auth_certs" }',
    'interfaces = { "127.0.0.1" }',
    'local_interfaces = { "127.0.0.1" }',
    `c2s_ports = { ${clientPort} }`,
    'c2s_direct_tls_ports = {}',
    `component_ports = { ${componentPort} }`,
    'c2s_require_encryption = false',
    'allow_unencrypted_plain_auth = true',
    'authentication = "internal_plain"',
    // The SCRAM of @xmpp/client 0.13 is refused by Prosody and ejabberd alike.
    'disable_sasl_mechanisms = { "SCRAM-SHA-1", "SCRAM-SHA-256" }',
    ...lines,
    `VirtualHost ${quoted(domain)}`,
    ...components.flatMap((component) => [
      `Component ${quoted(component.domain)}`,
      `component_secret = ${quoted(component.secret)}`,
    ]),
    '',
  ].join('\n');
}

/** A module of ours: it ends when stdin does. */
const LIFELINE = `
  module:set_global();
  require "net.server".watchfd(0, function () os.exit(1); end);
`;

/**
 * Prosody's stores are programs that return a table; here is one that lists it: a line per registration with jid, node
 * and secret in hex, `-` for what is not there. The table's `options` is the client's form, a stanza as nested tables.
 */
const LIST_REGISTRATIONS = `
  local file = io.open(arg[1]);
  if not file then return; end
  file:close();
  local function hex(text)
    return text and (text:gsub(".", function (c) return ("%02x"):format(c:byte()); end)) or "-";
  end
  local function secret_in(form)
    for _, field in ipairs(form or {}) do
      if type(field) == "table" and field.name == "field" and field.attr.var == "secret" then
        for _, value in ipairs(field) do
          if type(value) == "table" and value.name == "value" then return value[1] or ""; end
        end
      end
    end
  end
  for _, entry in pairs(dofile(arg[1])) do
    print(hex(entry.jid) .. " " .. hex(entry.node) .. " " .. hex(secret_in(entry.options)));
  end
`;

const fromHex = (text: string): string | null =>
  text === '-' ? null : Buffer.from(text, 'hex').toString('utf8');

/** The interpreter of the version that Prosody itself runs on. */
async function luaOfProsody(): Promise<string> {
  const [firstLine = ''] = (await readFile(PROGRAM, 'utf8')).split('\n');
  const interpreter = firstLine
    .replace(/^#!\s*/, '')
    .split(/\s+/)
    .at(-1);
  if (!interpreter?.includes('lua')) throw new Error(`${PROGRAM} is not a program in Lua`);
  return interpreter;
}

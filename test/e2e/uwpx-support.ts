import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import { UwpxApp, type UwpxGeneration, type UwpxPushAccount } from '../simulators/uwpx-app.js';
import { startXmppWorld, type XmppPeer, type XmppWorld } from '../simulators/xmpp-world.js';
import { errorOf } from '../simulators/xmpp/xmpp-client.js';
import { XmppServer } from '../simulators/xmpp/xmpp-server.js';
import { quick } from './xmpp-support.js';

type Options = Readonly<Record<string, unknown>>;
type Sections = Readonly<Record<string, Options>>;

/** The certificate of a door, and the section `uwpx` that names it; without limits per address, as tests have but one. */
export interface DoorFiles {
  readonly ca: string;
  readonly options: Options;
  remove(): Promise<void>;
}

export async function makeDoorFiles(): Promise<DoorFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-uwpx-'));
  const authority = createAuthority();
  const { certPem, keyPem } = authority.issueServer();
  const [certificateFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  await writeFile(certificateFile, certPem);
  await writeFile(keyFile, keyPem, { mode: 0o600 });
  return {
    ca: authority.certPem,
    options: {
      enabled: true,
      host: '127.0.0.1',
      port: 0,
      certificateFile,
      keyFile,
      newDevicesBurst: 10_000,
      messagesBurst: 10_000,
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Of the present run: the configuration leaves it to the system. */
export function uwpxPort(server: ServerProcess): number {
  const lines = server.output().split('\n');
  const said = lines.findLast((line) => line.includes('"uwpx listening"'));
  if (said === undefined) throw new Error('nothing listens for UWPX');
  return (JSON.parse(said) as { readonly port: number }).port;
}

export interface ArrivedRaw {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What WNS took for a channel, in the order of its coming. */
export function arrived({ wns }: Pick<XmppWorld, 'wns'>, channelUri: string): readonly ArrivedRaw[] {
  const { pathname, search } = new URL(channelUri);
  return wns.pushes
    .filter(({ channel }) => channel === pathname + search)
    .map(({ headers, bodyText }) => ({ headers, text: bodyText }));
}

/** Waits for so many pushes at the app's channel, and that there are no more of them by then. */
export async function untilWoken(
  world: Pick<XmppWorld, 'wns'>,
  { channel }: UwpxApp,
  count: number,
): Promise<void> {
  await eventually(() => arrived(world, channel).length >= count, { what: `push ${count} at WNS` });
  expect(arrived(world, channel)).toHaveLength(count);
}

/** The body of a push for the second version of the protocol. */
export const jsonPush = (accountId: string, messages = 0, subscriptions = 0): string =>
  `{"account_id":"${accountId}","action":"push","message_count":${messages},` +
  `"pending_subscription_count":${subscriptions},"version":2}`;

/** Of the summary of XEP-0357; what is left out is not in the form. */
export interface Summary {
  readonly 'message-count'?: string;
  readonly 'pending-subscription-count'?: string;
  readonly 'last-message-sender'?: string;
  readonly 'last-message-body'?: string;
}

const field = (name: string, value: string): string =>
  `<field type='text-single' var='${name}'><value>${value}</value></field>`;

/** What a publish carries, as Prosody writes it. */
export const pubsubOf = ({ node, secret }: Partial<UwpxPushAccount>, summary: Summary): string =>
  `<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='${node ?? ''}'><item>` +
  "<notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='form'>" +
  "<field type='hidden' var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field>" +
  Object.entries(summary)
    .map(([name, value]) => field(name, String(value)))
    .join('') +
  '</x></notification></item></publish>' +
  (secret === undefined
    ? ''
    : "<publish-options><x type='submit' xmlns='jabber:x:data'><field var='FORM_TYPE'>" +
      '<value>http://jabber.org/protocol/pubsub#publish-options</value></field>' +
      `<field var='secret'><value>${secret}</value></field></x></publish-options>`) +
  '</pubsub>';

export interface UwpxSceneOptions {
  readonly databaseUrl?: string | null;
  /** On top of the sections. */
  readonly config?: Sections;
  readonly servers?: readonly XmppPeer[];
}

/** The whole server as a process, everything around it, and a stand-in for the XMPP servers of its users. */
export class UwpxScene {
  readonly #processes: ServerProcess[] = [];
  #publishes = 0;

  private constructor(
    readonly xmpp: XmppServer,
    readonly world: XmppWorld,
    private readonly files: DoorFiles,
    readonly server: ServerProcess,
  ) {
    this.#processes.push(server);
  }

  static async start({
    databaseUrl = null,
    config = {},
    servers,
  }: UwpxSceneOptions = {}): Promise<UwpxScene> {
    const [files, xmpp] = await Promise.all([makeDoorFiles(), XmppServer.start()]);
    const component = { domain: 'push.example', secret: 's3cret' };
    const world = await startXmppWorld({
      servers: servers ?? [{ kind: 'stand-in', componentPort: xmpp.port, component }],
      databaseUrl,
      config: {
        ...quick,
        ...config,
        xmpp: { ...quick.xmpp, ...config['xmpp'] },
        uwpx: { ...files.options, ...config['uwpx'] },
      },
    });
    const server = await ServerProcess.start(world.configFile, { untilReady: false });
    const scene = new UwpxScene(xmpp, world, files, server);
    try {
      await server.ready();
      return scene;
    } catch (error) {
      await scene.close();
      throw error;
    }
  }

  /** A further process on the same database, with a door of its own. */
  async startAnother(name = 'another'): Promise<ServerProcess> {
    const env = this.world.anotherProcess(name);
    const server = await ServerProcess.start(this.world.configFile, { env, untilReady: false });
    this.#processes.push(server);
    await server.ready();
    return server;
  }

  /** An installation of UWPX that nobody knows yet. */
  app(generation: UwpxGeneration = 'v2', server = this.server): UwpxApp {
    return new UwpxApp(() => ({ port: uwpxPort(server), ca: this.files.ca }), generation);
  }

  /** The answer to a user's server: `result`, or `type/condition` of the error. */
  async publish(
    { jid, node, secret }: Partial<UwpxPushAccount> & Pick<UwpxPushAccount, 'jid'>,
    summary: Summary = { 'message-count': '1' },
  ): Promise<string> {
    this.#publishes += 1;
    const connection = await eventually(() => this.xmpp.online()[0], {
      timeoutMs: 30_000,
      what: 'the component',
    });
    const address = { ...(node === undefined ? {} : { node }), ...(secret === undefined ? {} : { secret }) };
    const answer = await connection.ask(
      `<iq type='set' from='example.org' to='${jid}' id='publish-${this.#publishes}'>${pubsubOf(address, summary)}</iq>`,
    );
    return errorOf(answer) ?? 'result';
  }

  arrived({ channel }: UwpxApp): readonly ArrivedRaw[] {
    return arrived(this.world, channel);
  }

  texts(app: UwpxApp): readonly string[] {
    return this.arrived(app).map(({ text }) => text);
  }

  untilWoken(app: UwpxApp, count: number): Promise<void> {
    return untilWoken(this.world, app, count);
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((server) => server.close()));
    await this.world.close();
    await this.xmpp.stop();
    await this.files.remove();
  }
}

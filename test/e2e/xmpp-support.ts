import { expect } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import {
  startXmppWorld,
  type XmppPeer,
  type XmppWorld,
  type XmppWorldOptions,
} from '../simulators/xmpp-world.js';
import { PushDevice, type DeviceWord } from '../simulators/xmpp/push-device.js';
import type { Account, PushRegistration, RealXmppServer } from '../simulators/xmpp/real-server.js';
import { xml, XmppUser, type PushAddress } from '../simulators/xmpp/xmpp-client.js';
import { soon } from './legacy-support.js';

/** As in production, but what is waited for comes soon, and nothing is held up for the sake of a device. */
export const quick = {
  delivery: soon.delivery,
  outbox: soon.outbox,
  xmpp: {
    rateLimitSeconds: 0,
    backOffSeconds: [0.1],
    conflictBackOffMinSeconds: 1,
    conflictBackOffMaxSeconds: 1,
    httpRegistrationsPerMinute: 10_000,
    httpPushesPerMinute: 10_000,
  },
} as const;

/** How a client gets to its node and secret. */
export type Way = 'command' | 'p2' | 'http';

/** Somebody who is not there, and whose server is to wake a device instead. */
export interface Away {
  readonly account: Account;
  readonly device: PushDevice;
  /** What the client was told, and has told its server. */
  readonly address: PushAddress;
}

/** The answer to a request of the HTTP API's version 1. */
export interface AppServerAnswer {
  readonly status: number;
  readonly lines: readonly string[];
}

export async function askAppServer(
  { httpAddress }: Pick<ServerProcess, 'httpAddress'>,
  request: 'register' | 'unregister' | 'push',
  fields: Readonly<Record<string, string>>,
): Promise<AppServerAnswer> {
  const answer = await fetch(`${httpAddress}/push_appserver/v1/${request}`, {
    method: 'POST',
    body: new URLSearchParams(fields),
  });
  const text = await answer.text();
  return { status: answer.status, lines: answer.status === 200 ? text.split('\n') : [] };
}

/** Answers of this kind to publishes, since the start of the process. */
export const publishAnswers = (server: ServerProcess, answer: string): Promise<number> =>
  server.metric(`waggle_xmpp_answers_total{request="publish",answer="${answer}"}`);

export function untilConnected(server: ServerProcess, connections: number): Promise<unknown> {
  return eventually(async () => (await server.metric('waggle_xmpp_connections')) === connections, {
    what: 'the component at the XMPP server',
  });
}

interface SceneOptions extends Omit<XmppWorldOptions, 'servers'> {
  readonly connections?: number;
  /** Further servers, with a connection each. */
  readonly also?: readonly XmppPeer[];
  /** Options on top of the configuration file, as variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A real XMPP server with the server of ours, as a process, for its component; and who uses them. */
export class XmppScene {
  readonly #processes: ServerProcess[] = [];
  #users: XmppUser[] = [];
  #sender: Promise<XmppUser> | null = null;

  private constructor(
    readonly real: RealXmppServer,
    readonly world: XmppWorld,
    readonly server: ServerProcess,
    /** Of each process. */
    readonly connections: number,
  ) {
    this.#processes.push(server);
  }

  static async start(
    real: RealXmppServer,
    {
      connections = real.kind === 'ejabberd' ? 2 : 1,
      also = [],
      config = {},
      env = {},
      ...options
    }: SceneOptions = {},
  ): Promise<XmppScene> {
    const { kind, component, componentPort } = real;
    const world = await startXmppWorld({
      ...options,
      servers: [{ kind, component, componentPort, connections }, ...also],
      config: { ...quick, ...config, xmpp: { ...quick.xmpp, ...config['xmpp'] } },
    });
    const server = await ServerProcess.start(world.configFile, { env, untilReady: false });
    const scene = new XmppScene(real, world, server, connections);
    try {
      await server.ready();
      await untilConnected(server, connections + also.length);
      return scene;
    } catch (error) {
      await scene.close();
      throw error;
    }
  }

  /** A further process on the same database. At Prosody it waits for the component's place. */
  async startAnother(name = 'another'): Promise<ServerProcess> {
    const env = this.world.anotherProcess(name);
    const server = await ServerProcess.start(this.world.configFile, { env });
    this.#processes.push(server);
    if (this.real.kind === 'ejabberd') await untilConnected(server, this.connections);
    return server;
  }

  newDevice(type: DeviceWord = 'apns'): PushDevice {
    return PushDevice.create(this.world, type);
  }

  /** Logged in; a new account unless one is named. */
  async user(account?: Account): Promise<XmppUser> {
    const user = await XmppUser.connect(this.real, account ?? (await this.real.addAccount()));
    this.#users.push(user);
    return user;
  }

  /** The node and secret for a device, in one of the ways of clients. */
  async register(
    user: XmppUser,
    device: PushDevice,
    way: Way = 'command',
    server = this.server,
  ): Promise<PushAddress> {
    const jid = this.real.component.domain;
    const { type, node, token } = device;
    if (way === 'command') return user.registerV1(jid, { type, node, token });
    if (way === 'p2') {
      if (type !== 'apns' && type !== 'fcm') throw new Error(`p2 knows no ${type}`);
      return user.registerP2(jid, type, { 'device-id': node, token });
    }
    const { status, lines } = await askAppServer(server, 'register', { type, node, token });
    expect([status, lines[0], lines[1], lines.length]).toEqual([200, 'OK', node, 3]);
    return { jid, node, secret: lines[2] ?? '' };
  }

  /** Registers, enables push at the user's server, and goes away. */
  async away(device = this.newDevice(), way: Way = 'command', given?: Partial<PushAddress>): Promise<Away> {
    const user = await this.user();
    const address = { ...(await this.register(user, device, way)), ...given };
    await user.enablePush(address);
    await user.goAway();
    const { account } = user;
    expect(await this.real.registrations(account)).toEqual([address]);
    return { account, device, address };
  }

  /** One message after the other; resolves when the server has taken them all. Null: one without a body. */
  async send({ account }: Pick<Away, 'account'>, ...bodies: readonly (string | null)[]): Promise<void> {
    const sender = await this.#someone();
    for (const body of bodies) await sender.sendMessage(account, body);
    await sender.sync();
  }

  /** The server's own record of a user, after it has read what it was answered. */
  async registrations({ account }: Pick<Away, 'account'>): Promise<readonly PushRegistration[]> {
    await this.answersAreRead();
    return this.real.registrations(account);
  }

  /** An answer to a ping comes after those before it on its connection; with several, each ping takes any of them. */
  async answersAreRead(): Promise<void> {
    const sender = await this.#someone();
    const isOne = this.connections === 1 && this.#processes.length === 1;
    await Promise.all(
      Array.from({ length: isOne ? 1 : 10 }, () =>
        sender.ask('get', xml('ping', { xmlns: 'urn:xmpp:ping' }), this.real.component.domain),
      ),
    );
  }

  /** Who is there all the time. */
  #someone(): Promise<XmppUser> {
    this.#sender ??= this.user();
    return this.#sender;
  }

  /** After each test: nobody is connected any more. */
  async usersLeave(): Promise<void> {
    const users = this.#users;
    this.#users = [];
    this.#sender = null;
    await Promise.all(users.map((user) => user.vanish()));
  }

  async close(): Promise<void> {
    await this.usersLeave();
    await Promise.all(this.#processes.map((server) => server.close()));
    await this.world.close();
  }
}

/** Waits for so many pushes, and that there are no more of them by then. */
export async function untilArrived({ device }: Pick<Away, 'device'>, count: number): Promise<void> {
  await eventually(() => device.arrived().length >= count, {
    what: `push ${count} at the provider of ${device.type}`,
  });
  expect(device.arrived()).toHaveLength(count);
}

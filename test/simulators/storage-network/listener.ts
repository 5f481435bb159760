import { Router, type Context } from 'zeromq';
import type { KeyPair } from '../../../src/oxenmq/port.js';

/** The identity that a client announced, as raw bytes. */
export type Route = Buffer;

/** Sends the reply of a request; more than one call sends more than one reply, as a broken peer would. */
export type Reply = (...parts: (Buffer | string)[]) => void;

export interface ListenerOptions {
  /** CURVE when given, plain otherwise. */
  readonly keyPair?: KeyPair | null;
  /** `tcp://127.0.0.1:*` by default; `ipc://PATH` works too. */
  readonly bind?: string;
  /** Request commands; anything else is answered with UNKNOWNCOMMAND. */
  readonly requests?: Readonly<Record<string, (route: Route, parts: Buffer[], reply: Reply) => void>>;
  /** One-way commands. */
  readonly commands?: Readonly<Record<string, (route: Route, parts: Buffer[]) => void>>;
  /** liboxenmq has 1,000 and drops beyond; larger here, so that a burst in a test loses nothing by accident. */
  readonly sendHighWaterMark?: number;
  readonly maxMessageBytes?: number;
  readonly context?: Context;
}

const ERROR_WORDS = new Set([
  'UNKNOWNCOMMAND',
  'FORBIDDEN',
  'NOT_A_SERVICE_NODE',
  'FORBIDDEN_SN',
  'NO_REPLY_TAG',
]);

/**
 * The listening side of OxenMQ on one ROUTER socket, with the options that liboxenmq sets (spec oxenmq, 1.3 and 5.1).
 * Enough to stand in for any daemon; knobs make it misbehave.
 */
export class OxenmqListener {
  /** Answers nothing at all, not even HI; messages are still read. */
  silent = false;
  /** Leaves HI alone unanswered. */
  answersHi = true;
  /** A command that comes as a request is refused with this word. */
  refuseWith: string | null = null;
  /** Messages received so far, by first part (as text). */
  readonly received = new Map<string, number>();
  /** Sends that ZeroMQ did not take: the client is gone or its queue is full. */
  sendFailures = 0;
  /** Every route heard of since the last start, by its hex form. */
  readonly routes = new Map<string, Route>();

  #router: Router | null = null;
  #endpoint = '';

  private constructor(private readonly options: ListenerOptions) {}

  static async start(options: ListenerOptions = {}): Promise<OxenmqListener> {
    const listener = new OxenmqListener(options);
    await listener.#bind(options.bind ?? 'tcp://127.0.0.1:*');
    return listener;
  }

  /** What ZeroMQ connects to: `tcp://127.0.0.1:PORT`. */
  get endpoint(): string {
    return this.#endpoint;
  }

  get port(): number {
    return Number(this.#endpoint.slice(this.#endpoint.lastIndexOf(':') + 1));
  }

  /** In the form of a configuration: with the key when there is one. */
  get address(): string {
    const key = this.options.keyPair?.publicKey.toString('hex');
    return key === undefined ? this.#endpoint : `${this.#endpoint.replace('tcp://', 'curve://')}/${key}`;
  }

  get isRunning(): boolean {
    return this.#router !== null;
  }

  count(command: string): number {
    return this.received.get(command) ?? 0;
  }

  /** Queued at once or lost, like liboxenmq; false is only known for a listener that is stopped. */
  send(route: Route, parts: readonly (Buffer | string)[]): boolean {
    const router = this.#router;
    if (router === null) return false;
    router.send([route, ...parts]).catch(() => {
      this.sendFailures += 1;
    });
    return true;
  }

  /** As if the process had died: links break, what was queued is gone, the port is free. */
  stop(): void {
    this.#router?.close();
    this.#router = null;
    this.routes.clear();
  }

  /** Starts again on the same port, knowing nobody. */
  async restart(): Promise<void> {
    this.stop();
    await this.#bind(this.#endpoint);
  }

  async #bind(address: string): Promise<void> {
    const { keyPair, context } = this.options;
    const router = new Router({
      mandatory: true,
      handover: true,
      sendTimeout: 0,
      linger: 0,
      handshakeInterval: 10_000,
      heartbeatInterval: 15_000,
      heartbeatTimeout: 30_000,
      maxMessageSize: this.options.maxMessageBytes ?? 10_485_760,
      sendHighWaterMark: this.options.sendHighWaterMark ?? 100_000,
      receiveHighWaterMark: 100_000,
      ...(context !== undefined && { context }),
      ...(keyPair && { curveServer: true, curveSecretKey: keyPair.secretKey as unknown as string }),
    });
    // ZeroMQ frees a port some time after the socket that held it was closed.
    const deadline = Date.now() + 5_000;
    for (;;) {
      try {
        await router.bind(address);
        break;
      } catch (error) {
        if (Date.now() > deadline) {
          router.close();
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    this.#router = router;
    this.#endpoint = router.lastEndpoint ?? address;
    void this.#receive(router);
  }

  async #receive(router: Router): Promise<void> {
    for (let handled = 1; ; handled += 1) {
      let message: Buffer[];
      try {
        message = await router.receive();
      } catch {
        return;
      }
      if (router !== this.#router) return;
      const [route, name, ...parts] = message;
      if (route !== undefined && name !== undefined) this.#handle(route, name.toString('latin1'), parts);
      // Leave room for the rest of the process, which is often the program under test.
      if (handled % 8 === 0) await new Promise(setImmediate);
    }
  }

  #handle(route: Route, name: string, parts: Buffer[]): void {
    this.routes.set(route.toString('hex'), route);
    this.received.set(name, this.count(name) + 1);
    if (this.silent) return;
    if (name === 'HI') {
      if (this.answersHi) this.send(route, ['HELLO']);
      return;
    }
    if (name === 'HELLO' || name === 'BYE' || name === 'REPLY' || ERROR_WORDS.has(name)) return;
    const command = this.options.commands?.[name];
    if (command !== undefined) {
      command(route, parts);
      return;
    }
    const request = this.options.requests?.[name];
    if (request === undefined) {
      this.send(route, ['UNKNOWNCOMMAND', name]);
      return;
    }
    const [tag, ...data] = parts;
    if (tag === undefined) this.send(route, ['NO_REPLY_TAG', name]);
    else if (this.refuseWith !== null) this.send(route, [this.refuseWith, 'REPLY', tag]);
    else request(route, data, (...reply) => void this.send(route, ['REPLY', tag, ...reply]));
  }
}

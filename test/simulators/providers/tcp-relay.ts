import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * A relay between a client and a stand-in that can become a black hole: connections stay open and nothing passes any
 * more, as behind a firewall that forgot them. New connections pass (or not, see `swallowNew`). Or it is shut:
 * connections break and new ones are refused, as by a server that is down.
 */
export class TcpRelay {
  connections = 0;
  /** Whether new connections are black holes from the start. */
  swallowNew = false;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server: Server;
  #port = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      this.connections += 1;
      const far = connect(targetPort, '127.0.0.1');
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      const end = (): void => {
        near.destroy();
        far.destroy();
        this.#pairs.delete(pair);
      };
      for (const socket of pair) socket.on('error', end).on('close', end);
      if (this.swallowNew) return;
      near.pipe(far);
      far.pipe(near);
    });
  }

  static async start(targetPort: number): Promise<TcpRelay> {
    const relay = new TcpRelay(targetPort);
    await relay.open();
    return relay;
  }

  get endpoint(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** After `shut`: at the same port again. */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Connections break, new ones are refused, until `open`. */
  async shut(): Promise<void> {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  /** From now on nothing passes on the connections that are open. */
  swallowPresent(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.resume(); // reads and forgets
      far.resume();
    }
  }

  close(): Promise<void> {
    return this.shut();
  }
}

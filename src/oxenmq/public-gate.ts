import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, ok, type Result } from '../domain/result.js';
import { codeOf } from './socket-file.js';

export interface PublicGateLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** What one connection may send in its life; then it is closed, and an honest peer comes again. Bytes. */
  readonly bytesPerConnection: number;
}

export interface PublicGateAddress {
  /** An address, the name of an interface, or `*`. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
}

/** For the answers to what a connection had asked before its end. */
const LINGER_MS = 1_000;

/**
 * Stands before a listener that anybody may connect to. ZeroMQ collects all parts of a message before it hands it over,
 * and has a limit for the size of a part, none for their number (spec oxenmq, 1.3): one peer that never sends a last
 * part fills all memory, and nothing of it shows at the socket. So the listener itself is bound to a unix socket that
 * nobody else can reach, and every byte from the network is counted on its way there: what all peers together can make
 * ZeroMQ hold is connections x bytesPerConnection.
 */
export class PublicGate {
  readonly #sockets = new Set<Socket>();
  readonly #byAddress = new Map<string, number>();
  #directory: string | null = null;
  #upstream = '';
  #server: Server | null = null;

  constructor(private readonly limits: PublicGateLimits) {}

  /** The path that the listener is to be bound to, before `open`. Rejects with an error of the system. */
  async prepare(): Promise<string> {
    this.#directory = await mkdtemp(join(tmpdir(), 'waggle-door-')); // mode 0700
    this.#upstream = join(this.#directory, 'door');
    return this.#upstream;
  }

  /** The port; or the code of an error of the system. */
  async open({ host, port }: PublicGateAddress): Promise<Result<number, string>> {
    const server = createServer({ noDelay: true }, (socket) => this.#admit(socket));
    server.maxConnections = this.limits.connections;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: addressOf(host), port }, resolve);
      });
    } catch (error) {
      return fail(codeOf(error));
    }
    server.on('error', ignore);
    this.#server = server;
    return ok((server.address() as AddressInfo).port);
  }

  /** Idempotent. What the listener has sent goes out as far as the peers take it at once. */
  async close(): Promise<void> {
    this.#server?.close();
    this.#server = null;
    for (const socket of this.#sockets) socket.destroySoon();
    if (this.#directory !== null) await rm(this.#directory, { recursive: true, force: true });
  }

  #admit(client: Socket): void {
    const { connectionsPerAddress, bytesPerConnection } = this.limits;
    const address = client.remoteAddress ?? '';
    const ofAddress = this.#byAddress.get(address) ?? 0;
    if (ofAddress >= connectionsPerAddress) {
      client.destroy();
      return;
    }
    this.#byAddress.set(address, ofAddress + 1);
    this.#sockets.add(client);
    const upstream = connect(this.#upstream);
    let bytes = 0;
    let timer: NodeJS.Timeout | null = null;
    client.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesPerConnection) return;
      client.unpipe(upstream);
      client.pause();
      timer ??= setTimeout(() => client.destroy(), LINGER_MS);
    });
    client.pipe(upstream);
    upstream.pipe(client);
    client.on('error', ignore);
    upstream.on('error', ignore);
    upstream.on('close', () => client.destroySoon());
    client.on('close', () => {
      if (timer !== null) clearTimeout(timer);
      upstream.destroy();
      this.#sockets.delete(client);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    });
  }
}

/** What ZeroMQ takes beside an address. */
function addressOf(host: string): string {
  if (host === '*') return '0.0.0.0';
  return networkInterfaces()[host]?.[0]?.address ?? host;
}

function ignore(): void {}

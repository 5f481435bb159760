import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

export interface UwpxClientOptions {
  readonly port: number;
  /** PEM of the authority. */
  readonly ca: string;
  readonly tls?: ConnectionOptions;
}

/** Speaks UWPX's side of the TLS protocol, and anything else that a test wants to write. */
export class UwpxClient {
  readonly #texts: string[] = [];
  #rest = Buffer.alloc(0);
  #waiting: (() => void) | null = null;
  #hasEnded = false;
  /** Pieces that reads returned: the real client wants an answer to be one. */
  readonly pieces: Buffer[] = [];
  readonly closed: Promise<void>;
  error: NodeJS.ErrnoException | null = null;

  private constructor(readonly socket: TLSSocket) {
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#hasEnded = true;
        this.#waiting?.();
        resolve();
      });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error;
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#waiting?.();
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** Rejects when there is no handshake. */
  static connect({ port, ca, tls = {} }: UwpxClientOptions): Promise<UwpxClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca, ...tls });
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed before the handshake')));
      socket.once('secureConnect', () => {
        socket.removeListener('error', reject);
        resolve(new UwpxClient(socket));
      });
    });
  }

  /** As it stands, without a NUL of our own. */
  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** The next message, with its NUL; null when the server has ended before. */
  async read(): Promise<string | null> {
    for (;;) {
      const text = this.#texts.shift();
      if (text !== undefined) return text;
      if (this.#hasEnded) return null;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  /** As UWPX writes: JSON indented over several lines, then a NUL. */
  async request(message: unknown): Promise<unknown> {
    this.write(`${JSON.stringify(message, null, 2)}\0`);
    const text = await this.read();
    if (text === null) throw new Error('the server ended without an answer');
    return JSON.parse(text.slice(0, -1)) as unknown;
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.pieces.push(chunk);
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const end = this.#rest.indexOf(0);
      if (end < 0) break;
      this.#texts.push(this.#rest.toString('utf8', 0, end + 1));
      this.#rest = this.#rest.subarray(end + 1);
    }
    this.#waiting?.();
  }
}

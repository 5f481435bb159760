import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface PostAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** An HTTP/1.1 connection that stays open, with one request under way: it costs next to nothing, and knows no chunks. */
export class PostConnection {
  #received: Buffer = Buffer.alloc(0);
  #onAnswer: (answer: PostAnswer | null) => void = () => {};

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#onAnswer(null));
  }

  static async open(url: URL): Promise<PostConnection> {
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    return new PostConnection(socket);
  }

  /** `request`: head and body. null: the connection is gone. */
  send(request: Buffer): Promise<PostAnswer | null> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      if (this.socket.destroyed) resolve(null);
      else this.socket.write(request);
    });
  }

  end(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const all = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#received = all;
    const headEnd = all.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = all.latin1Slice(0, headEnd);
    const [, length] = /\r\ncontent-length: (\d+)/i.exec(head) ?? [];
    if (length === undefined) return void this.socket.destroy();
    const bodyStart = headEnd + 4;
    const end = bodyStart + Number(length);
    if (all.length < end) return;
    this.#received = Buffer.alloc(0);
    this.#onAnswer({ status: Number(head.slice(9, 12)), body: all.subarray(bodyStart, end) });
  }
}

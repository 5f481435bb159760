import { Router, type Context } from 'zeromq';

/** Who may come in through the listeners of one ZAP domain. */
export interface ZapRule {
  readonly mechanism: 'NULL' | 'CURVE';
  /** Hex of the public keys that are let in; null = everybody who speaks the mechanism. */
  readonly keys: ReadonlySet<string> | null;
}

export type ZapRules = ReadonlyMap<string, ZapRule>;

/** Where ZeroMQ looks for somebody who decides about handshakes (RFC 27). */
const ENDPOINT = 'inproc://zeromq.zap.01';
const VERSION = '1.0';
const KEY_BYTES = 32;
/** ZeroMQ's threads hand over one handshake after the other; a pause only when the socket itself is broken. */
const RETRY_MS = 50;

/**
 * Decides about a request without its envelope: `[version, request id, domain, address, identity, mechanism,
 * credentials...]`, and says so in the form of a reply. Total: whatever cannot be understood is refused.
 *
 * The identity is that of our own listener, not of the client (spec oxenmq, 5), so it decides nothing.
 */
export function decideZap(frames: readonly Buffer[], rules: ZapRules): string[] {
  const [version, requestId, domain, , , mechanism, ...credentials] = frames;
  const answer = (status: string, text: string, userId = ''): string[] => [
    VERSION,
    requestId?.toString('latin1') ?? '',
    status,
    text,
    userId,
    '',
  ];
  if (version?.toString('latin1') !== VERSION || requestId === undefined || domain === undefined) {
    return answer('500', 'Malformed request');
  }
  const rule = rules.get(domain.toString('latin1'));
  if (rule === undefined || mechanism?.toString('latin1') !== rule.mechanism) {
    return answer('400', 'Access denied');
  }
  if (rule.mechanism === 'NULL') return answer('200', '');
  const [key, ...others] = credentials;
  if (key?.length !== KEY_BYTES || others.length > 0) return answer('500', 'Malformed request');
  const userId = key.toString('hex');
  if (rule.keys !== null && !rule.keys.has(userId)) return answer('400', 'Access denied');
  return answer('200', '', userId);
}

/**
 * Answers ZeroMQ's question about every handshake of one context. Must be bound before any listener: without a
 * handler ZeroMQ would let everybody in (the listeners ask for a handler besides, so they would let in nobody).
 *
 * A ROUTER, which ZAP allows beside REP: no question has to be answered before the next can be read, so one that
 * goes wrong cannot stop it.
 */
export class ZapHandler {
  #socket: Router | null = null;

  constructor(
    private readonly context: Context,
    private readonly rules: ZapRules,
    private readonly onFault: (error: unknown) => void,
  ) {}

  async start(): Promise<void> {
    const socket = new Router({ context: this.context, linger: 0, sendTimeout: 0, sendHighWaterMark: 0 });
    await socket.bind(ENDPOINT);
    this.#socket = socket;
    void this.#serve(socket);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  async #serve(socket: Router): Promise<void> {
    for (;;) {
      try {
        this.#answer(socket, await socket.receive());
      } catch (error) {
        if (this.#socket !== socket) return;
        this.onFault(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #answer(socket: Router, message: readonly Buffer[]): void {
    // Everything up to the first empty frame is the way back.
    const delimiter = message.findIndex((frame, index) => index > 0 && frame.length === 0);
    if (delimiter < 0) return;
    const envelope = message.slice(0, delimiter + 1);
    const reply = decideZap(message.slice(delimiter + 1), this.rules);
    socket
      .send([...envelope, ...reply.map((text) => Buffer.from(text, 'latin1'))])
      .catch((error: unknown) => this.onFault(error));
  }
}

import { fail, ok, type Result } from '../domain/result.js';
import type { RequestError } from './port.js';

export type Answer = Result<Buffer[], RequestError>;

/** liboxenmq's length (spec oxenmq, section 3). */
export const TAG_BYTES = 15;

interface OpenRequest {
  readonly command: string;
  readonly timer: NodeJS.Timeout;
  readonly settle: (answer: Answer) => void;
}

/**
 * The requests of one connection that wait for a reply, by tag. There is one of these per connection, so a reply
 * counts only where its request went out. Every request settles exactly once; whatever comes later finds no tag.
 */
export class OpenRequests {
  readonly #byTag = new Map<string, OpenRequest>();

  constructor(
    private readonly randomBytes: (size: number) => Buffer,
    private readonly maxOpen: number,
  ) {}

  get size(): number {
    return this.#byTag.size;
  }

  /** A tag for the wire and the answer to come; null when too many are open. */
  open(
    command: string,
    timeoutMs: number,
  ): { readonly tag: Buffer; readonly answer: Promise<Answer> } | null {
    if (this.#byTag.size >= this.maxOpen) return null;
    const tag = this.randomBytes(TAG_BYTES);
    const key = keyOf(tag);
    const answer = new Promise<Answer>((resolve) => {
      const timer = setTimeout(() => this.#settle(key, fail({ kind: 'timeout' })), timeoutMs);
      this.#byTag.set(key, { command, timer, settle: resolve });
    });
    return { tag, answer };
  }

  /** False when no request has this tag (any more). */
  reply(tag: Buffer, data: Buffer[]): boolean {
    return tag.length === TAG_BYTES && this.#settle(keyOf(tag), ok(data));
  }

  fail(tag: Buffer, error: RequestError): boolean {
    return tag.length === TAG_BYTES && this.#settle(keyOf(tag), fail(error));
  }

  /** How many requests for this command were open. */
  failCommand(command: string, error: RequestError): number {
    let failed = 0;
    for (const [key, request] of this.#byTag) {
      if (request.command === command && this.#settle(key, fail(error))) failed += 1;
    }
    return failed;
  }

  failAll(error: RequestError): void {
    for (const key of this.#byTag.keys()) this.#settle(key, fail(error));
  }

  #settle(key: string, answer: Answer): boolean {
    const request = this.#byTag.get(key);
    if (request === undefined) return false;
    this.#byTag.delete(key);
    clearTimeout(request.timer);
    request.settle(answer);
    return true;
  }
}

const keyOf = (tag: Buffer): string => tag.latin1Slice();

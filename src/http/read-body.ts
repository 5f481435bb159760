import type { Readable } from 'node:stream';

/** Where the bytes of bodies are counted while they are held. */
export interface ByteBudget {
  takeBytes(count: number): boolean;
  giveBytes(count: number): void;
}

export type ReceivedBody =
  /** `release` must be called once, when the bytes are of no more use. */
  | { readonly kind: 'bytes'; readonly body: Buffer; readonly release: () => void }
  /** Longer than `maxBytes`; the rest is thrown away as it comes. */
  | { readonly kind: 'too-large' }
  /** The budget has no room for it; the rest is thrown away as it comes. */
  | { readonly kind: 'no-room' }
  /** The client went away. */
  | { readonly kind: 'aborted' };

/**
 * Reads a request body of at most `maxBytes` (inclusive), whatever its content type and transfer encoding. Only what
 * has arrived counts, not what a header promises: a client that promises much and sends nothing takes no room.
 */
export function readBody(
  stream: Readable,
  declaredBytes: number | null,
  maxBytes: number,
  budget: ByteBudget,
): Promise<ReceivedBody> {
  if (declaredBytes !== null && declaredBytes > maxBytes) {
    // Node answers at once and discards the body, so the connection stays usable.
    stream.resume();
    return Promise.resolve({ kind: 'too-large' });
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let held = 0;

    const giveBack = (): void => {
      budget.giveBytes(held);
      held = 0;
    };
    const settle = (outcome: ReceivedBody): void => {
      stream.off('data', onData);
      stream.off('end', onEnd);
      stream.off('close', onClose);
      if (outcome.kind !== 'bytes') {
        giveBack();
        stream.resume();
      }
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      if (held + chunk.length > maxBytes) {
        settle({ kind: 'too-large' });
      } else if (!budget.takeBytes(chunk.length)) {
        settle({ kind: 'no-room' });
      } else {
        held += chunk.length;
        chunks.push(chunk);
      }
    };
    const onEnd = (): void => {
      const [only] = chunks;
      const body = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, held);
      settle({ kind: 'bytes', body, release: giveBack });
    };
    const onClose = (): void => settle({ kind: 'aborted' });

    stream.on('data', onData);
    stream.once('end', onEnd);
    stream.once('close', onClose);
    // It stays: an error that comes after the answer must not end the process.
    stream.on('error', onClose);
  });
}

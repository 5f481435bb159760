import { randomBytes } from 'node:crypto';
import type { Clock } from '../domain/clock.js';

export const ROW_ID_BYTES = 16;

/**
 * Ids of outbox rows: UUIDs of version 7 (RFC 9562), made here and not by the database, so that an insert whose answer
 * was lost can be repeated without adding the row twice. Ascending within a run; 62 random bits per run keep several
 * processes apart.
 */
export class RowIds {
  readonly #run = randomBytes(8);
  #lastMs = 0;
  #counter = 0;

  constructor(private readonly clock: Clock) {
    this.#run.writeUInt8((this.#run.readUInt8(0) & 0x3f) | 0x80, 0);
  }

  next(): Buffer {
    const nowMs = this.clock.nowMs();
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#counter = 0;
    } else {
      this.#counter += 1;
      if (this.#counter > 0xfff) {
        this.#lastMs += 1;
        this.#counter = 0;
      }
    }
    const id = Buffer.allocUnsafe(ROW_ID_BYTES);
    id.writeUIntBE(this.#lastMs, 0, 6);
    id.writeUInt16BE(0x7000 | this.#counter, 6);
    this.#run.copy(id, 8);
    return id;
  }
}

/** The usual text, as PostgreSQL writes it. */
export function rowIdText(id: Buffer): string {
  const hex = id.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Null for what is not an id of ours. */
export function parseRowId(text: string): Buffer | null {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) return null;
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

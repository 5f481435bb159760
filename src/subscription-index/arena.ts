/** Where a record lies, in units of 8 bytes over all chunks; 0 is no record. */
export type Handle = number;

const CHUNK_BYTES = 1 << 20;
const UNIT_BYTES = 8;
const UNITS_PER_CHUNK = CHUNK_BYTES / UNIT_BYTES;
/** Records are rounded up to this, so that a freed place fits the next record of about the same size. */
const GRAIN_BYTES = 16;

/**
 * Memory for many small records outside the JavaScript heap: no object per record, nothing for the garbage collector
 * to walk, and growth by whole chunks instead of by copying.
 */
export class Arena {
  readonly #chunks: Buffer[] = [];
  readonly #free = new Map<number, Handle[]>();
  /** The first unit of the first chunk stays unused: handle 0 means "none". */
  #nextUnit = 1;
  #usedBytes = 0;

  /** Bytes of live records. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get reservedBytes(): number {
    return this.#chunks.length * CHUNK_BYTES;
  }

  static sizeFor(bytes: number): number {
    return Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES;
  }

  /** A place for `bytes` bytes (at most a chunk); its content is whatever was there before. */
  allocate(bytes: number): Handle {
    const size = Arena.sizeFor(bytes);
    if (size >= CHUNK_BYTES) throw new RangeError('record larger than a chunk');
    this.#usedBytes += size;
    const reused = this.#free.get(size)?.pop();
    if (reused !== undefined) return reused;
    const units = size / UNIT_BYTES;
    const chunkEnd = this.#chunks.length * UNITS_PER_CHUNK;
    if (this.#nextUnit + units > chunkEnd) {
      this.#nextUnit = Math.max(chunkEnd, 1);
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
    }
    const handle = this.#nextUnit;
    this.#nextUnit += units;
    return handle;
  }

  free(handle: Handle, bytes: number): void {
    const size = Arena.sizeFor(bytes);
    this.#usedBytes -= size;
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [handle]);
    else list.push(handle);
  }

  /** The chunk that a record lies in; it begins there at `offsetOf(handle)`. */
  chunkOf(handle: Handle): Buffer {
    const chunk = this.#chunks[Math.floor(handle / UNITS_PER_CHUNK)];
    if (chunk === undefined) throw new RangeError('no such record');
    return chunk;
  }

  offsetOf(handle: Handle): number {
    return (handle % UNITS_PER_CHUNK) * UNIT_BYTES;
  }
}

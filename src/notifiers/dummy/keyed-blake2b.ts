/**
 * BLAKE2b (RFC 7693) with a key of any length from 1 to 64 bytes: libsodium refuses keys under 16 bytes, and the
 * original's has 12. For small inputs off the hot path.
 */
export function keyedBlake2b(byteCount: number, key: Buffer, message: Buffer): Buffer {
  const state = [...IV];
  state[0] = (state[0] ?? 0n) ^ BigInt(0x01010000 ^ (key.length << 8) ^ byteCount);
  const input = Buffer.concat([key, Buffer.alloc(BLOCK_BYTES - key.length), message]);
  for (let start = 0; start < input.length; start += BLOCK_BYTES) {
    const end = Math.min(start + BLOCK_BYTES, input.length);
    const block = Buffer.alloc(BLOCK_BYTES);
    input.copy(block, 0, start, end);
    compress(state, block, BigInt(end), end === input.length);
  }
  const out = Buffer.alloc(64);
  state.forEach((word, index) => out.writeBigUInt64LE(word, index * 8));
  return out.subarray(0, byteCount);
}

const BLOCK_BYTES = 128;
const ROUNDS = 12;
const MASK = 0xffff_ffff_ffff_ffffn;

const IV: readonly bigint[] = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
];

/** The order of the message words in each round; rounds 10 and 11 begin again. */
const SIGMA = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map(indices);
/** The words of the state that each mixing of a round takes: four columns, then four diagonals. */
const LANES = ['048c', '159d', '26ae', '37bf', '05af', '16bc', '278d', '349e'].map(indices);

function compress(state: bigint[], block: Buffer, byteCount: bigint, isLast: boolean): void {
  const words = new BigUint64Array(16);
  for (let index = 0; index < 16; index += 1) words[index] = block.readBigUInt64LE(index * 8);
  const work = BigUint64Array.from([...state, ...IV]);
  work[12] = word(work, 12) ^ byteCount;
  if (isLast) work[14] = word(work, 14) ^ MASK;
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = SIGMA[round % SIGMA.length] ?? [];
    LANES.forEach((lane, index) => {
      mix(work, lane, word(words, order[2 * index]), word(words, order[2 * index + 1]));
    });
  }
  state.forEach((value, index) => (state[index] = value ^ word(work, index) ^ word(work, index + 8)));
}

function mix(
  work: BigUint64Array,
  [a = 0, b = 0, c = 0, d = 0]: readonly number[],
  x: bigint,
  y: bigint,
): void {
  work[a] = word(work, a) + word(work, b) + x;
  work[d] = rotateRight(word(work, d) ^ word(work, a), 32n);
  work[c] = word(work, c) + word(work, d);
  work[b] = rotateRight(word(work, b) ^ word(work, c), 24n);
  work[a] = word(work, a) + word(work, b) + y;
  work[d] = rotateRight(word(work, d) ^ word(work, a), 16n);
  work[c] = word(work, c) + word(work, d);
  work[b] = rotateRight(word(work, b) ^ word(work, c), 63n);
}

/** A BigUint64Array wraps at 2^64 when it stores, so sums need no mask. */
const word = (words: BigUint64Array, index = 0): bigint => words[index] ?? 0n;

const rotateRight = (value: bigint, bits: bigint): bigint =>
  ((value >> bits) | (value << (64n - bits))) & MASK;

function indices(hexDigits: string): number[] {
  return [...hexDigits].map((digit) => Number.parseInt(digit, 16));
}

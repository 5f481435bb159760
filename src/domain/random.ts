/** A source of numbers in [0, 1) for jitter; keys and nonces come from `src/crypto` instead. */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** A source of uniform numbers; passed in wherever chance decides, so that a seed repeats a run. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform whole number in [0, bound). */
  below(bound: number): number;
}

/**
 * Mulberry32 over a 32-bit seed: small, fast and good enough for tie-breaks and workloads (not for secrets).
 * Source: Tommy Ettinger's public-domain generator.
 */
export function seededRandom(seed: number): Random {
  // With its sign it needs no number object of its own.
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return { next, below: (bound) => Math.floor(next() * bound) };
}

/** Where a policy breaks: the greatest rate at which at least `share` of all requests are in time. */
export interface BreakingLoad {
  /** Arrivals, as a multiple of the trace's. */
  readonly rate: number;
  readonly inSlo: number;
}

const lowestRate = 1 / 64;
const highestRate = 64;

/**
 * Finds it by bisection, to within `precision` of itself, starting from `guess`. A load above which more are in time
 * again (chance does that at the edge) is not looked for. Null when not even the lowest rate is served in time.
 */
export function breakingLoad(
  inSloAt: (rate: number) => number,
  share: number,
  guess: number,
  precision = 0.01,
): BreakingLoad | null {
  let good: BreakingLoad | null = null;
  let bad = Infinity;
  let rate = guess;
  while (good === null || bad / good.rate > 1 + precision) {
    const inSlo = inSloAt(rate);
    if (inSlo >= share) good = { rate, inSlo };
    else bad = rate;
    if (good === null) rate = bad / 2;
    else rate = bad === Infinity ? good.rate * 2 : Math.sqrt(good.rate * bad);
    if (rate < lowestRate || rate > highestRate) break;
  }
  return good;
}

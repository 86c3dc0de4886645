import type { Cycle } from '../../plugin.ts';

/**
 * How firmly an affinity holds on to `slot`: 1 where no candidate has fewer requests, falling straight to 0 where
 * the least busy candidate has `threshold` fewer. It is what lets a hot prefix or session spill over.
 */
export function loadRelease(extraRequests: number, threshold: number): number {
  return 1 - Math.min(1, extraRequests / threshold);
}

/** The least value of a column among the candidates; unknown counts as 0. */
export function leastOf(cycle: Cycle, column: Float64Array): number {
  let least = Infinity;
  for (const slot of cycle.candidates) least = Math.min(least, knownOr0(column[slot]!));
  return least;
}

export function knownOr0(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}

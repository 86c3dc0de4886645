/** A distribution in the few numbers that are shown of it; null where there was nothing to measure. */
export interface Summary {
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
}

/** Of the values that are known; NaN stands for "not measured". */
export function summarise(values: Float64Array): Summary {
  const sorted = sortedKnown(values);
  const count = sorted.length;
  if (count === 0) return { mean: null, p50: null, p90: null, p99: null };
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count;
  return { mean, p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9), p99: quantile(sorted, 0.99) };
}

/** `points` + 1 quantiles from the least to the greatest, for drawing; empty when nothing was measured. */
export function quantiles(values: Float64Array, points: number): number[] {
  const sorted = sortedKnown(values);
  if (sorted.length === 0) return [];
  return Array.from({ length: points + 1 }, (_, index) => quantile(sorted, index / points));
}

/** Linear between the two nearest of `sorted`, which is ascending and not empty. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below] ?? NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? NaN;
  return low + (high - low) * (at - below);
}

function sortedKnown(values: Float64Array): Float64Array {
  return values.filter((value) => !Number.isNaN(value)).sort();
}

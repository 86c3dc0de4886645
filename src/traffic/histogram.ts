/**
 * Counts values in buckets that grow by 1 %: percentiles within 0.5 % in fixed memory, for values from a microsecond
 * to eleven days in seconds.
 */
export class Histogram {
  #counts = new Float64Array(0);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = -Infinity;

  add(value: number): void {
    if (this.#counts.length === 0) this.#counts = new Float64Array(bucketCount);
    const index = bucketOf(value);
    this.#counts[index] = this.#counts[index]! + 1;
    this.#count += 1;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
  }

  /** Null with no values. */
  get mean(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count;
  }

  /** Counts over at most `limit` ranges of equal ratio that cover all values; empty with no values. */
  bins(limit: number): { from: number; to: number; count: number }[] {
    const first = this.#counts.findIndex((count) => count > 0);
    if (first < 0) return [];
    const last = this.#counts.findLastIndex((count) => count > 0);
    const width = Math.ceil((last - first + 1) / limit);
    const bins: { from: number; to: number; count: number }[] = [];
    for (let at = first; at <= last; at += width) {
      const count = this.#counts.subarray(at, at + width).reduce((sum, one) => sum + one, 0);
      bins.push({ from: smallest * growth ** at, to: smallest * growth ** (at + width), count });
    }
    return bins;
  }

  /** The smallest value that at least a `share` (0..1) of all values do not exceed; null with no values. */
  percentile(share: number): number | null {
    if (this.#count === 0) return null;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index]!;
      if (seen >= rank) return Math.min(this.#max, Math.max(this.#min, middleOf(index)));
    }
    return this.#max;
  }
}

const smallest = 1e-6;
const growth = 1.01;
const bucketCount = Math.ceil(Math.log(1e6 / smallest) / Math.log(growth));

function bucketOf(value: number): number {
  if (!(value > smallest)) return 0;
  return Math.min(bucketCount - 1, Math.floor(Math.log(value / smallest) / Math.log(growth)));
}

function middleOf(index: number): number {
  return smallest * growth ** (index + 0.5);
}

/** Null where there was nothing to measure. */
export interface Summary {
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
}

export function summaryOf(histogram: Histogram): Summary {
  return {
    mean: histogram.mean,
    p50: histogram.percentile(0.5),
    p90: histogram.percentile(0.9),
    p99: histogram.percentile(0.99),
  };
}

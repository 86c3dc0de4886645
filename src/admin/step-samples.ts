/** Enough that a quantile of one second is right to what a chart can show. */
const kept = 256;

/** Samples of one step, bounded: past the bound the newest take the places of the oldest. */
export class StepSamples {
  readonly #values = new Float64Array(kept);
  #added = 0;

  add(value: number): void {
    this.#values[this.#added % kept] = value;
    this.#added += 1;
  }

  /** Two quantiles (0..1) of the samples since the last time; NaN when there were none. */
  take(low: number, high: number): [number, number] {
    const count = Math.min(this.#added, kept);
    this.#added = 0;
    if (count === 0) return [NaN, NaN];
    const sorted = this.#values.slice(0, count).sort();
    const at = (share: number): number => sorted[Math.min(count - 1, Math.floor(share * count))]!;
    return [at(low), at(high)];
  }
}

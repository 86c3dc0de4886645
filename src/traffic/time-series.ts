/**
 * Sums over time in a fixed number of steps. When time runs past the last step, neighbours are merged and steps
 * become twice as wide, so a run of any length fits.
 */
export class TimeSeries {
  readonly #sums: Float64Array;
  #stepMs: number;

  constructor(firstStepMs = 250, steps = 240) {
    this.#sums = new Float64Array(steps);
    this.#stepMs = firstStepMs;
  }

  get stepMs(): number {
    return this.#stepMs;
  }

  add(atMs: number, amount: number): void {
    this.#reach(atMs);
    const step = Math.max(0, Math.floor(atMs / this.#stepMs));
    this.#sums[step] = this.#sums[step]! + amount;
  }

  /** Adds the milliseconds of an interval to the steps it covers: divided by `stepMs`, how many there were at once. */
  addInterval(fromMs: number, toMs: number): void {
    this.#reach(toMs);
    let from = Math.max(0, fromMs);
    while (from < toMs) {
      const step = Math.floor(from / this.#stepMs);
      const until = Math.min(toMs, (step + 1) * this.#stepMs);
      this.#sums[step] = this.#sums[step]! + until - from;
      from = until;
    }
  }

  /** The sums at a coarser step (the own one times a power of two), which the series keeps from then on. */
  at(stepMs: number): Float64Array {
    this.#reach(stepMs * this.#sums.length - 1);
    while (this.#stepMs < stepMs) this.#widen();
    return this.#sums;
  }

  #reach(atMs: number): void {
    while (atMs >= this.#stepMs * this.#sums.length) this.#widen();
  }

  #widen(): void {
    const half = this.#sums.length / 2;
    for (let step = 0; step < half; step++) this.#sums[step] = this.#sums[2 * step]! + this.#sums[2 * step + 1]!;
    this.#sums.fill(0, half);
    this.#stepMs *= 2;
  }
}

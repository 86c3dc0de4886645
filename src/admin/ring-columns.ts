/** Columns of numbers over the last so many steps; NaN is "not known". */
export class RingColumns<Name extends string> {
  readonly #columns: ReadonlyMap<Name, Float32Array>;
  readonly #length: number;
  #pushed = 0;

  constructor(names: readonly Name[], length: number) {
    this.#columns = new Map(names.map((name) => [name, new Float32Array(length).fill(NaN)]));
    this.#length = length;
  }

  push(values: Readonly<Record<Name, number>>): void {
    const at = this.#pushed % this.#length;
    for (const [name, column] of this.#columns) column[at] = values[name];
    this.#pushed += 1;
  }

  /** The last `count` steps of each column, oldest first, rounded to what a chart can show; null where not known. */
  last(count: number): Record<Name, (number | null)[]> {
    const entries = Array.from(this.#columns, ([name, column]) => {
      const values = Array.from({ length: count }, (_, i) => {
        const step = this.#pushed - count + i;
        const value = step < 0 ? NaN : column[step % this.#length]!;
        return Number.isNaN(value) ? null : Number(value.toPrecision(4));
      });
      return [name, values] as const;
    });
    return Object.fromEntries(entries) as Record<Name, (number | null)[]>;
  }
}

import type { DecisionRowJson } from '../../admin/json.ts';

/** Rows kept in the page; the oldest that have ended well go first. */
const mostRows = 20_000;

/** The decisions the page knows, in the order in which they were made. */
export class DecisionList {
  readonly #byId = new Map<string, DecisionRowJson>();
  #rows: DecisionRowJson[] = [];
  #isSorted = true;
  #dropped = 0;

  /** Oldest first. The array is a new one after every change. */
  get rows(): readonly DecisionRowJson[] {
    if (!this.#isSorted) {
      this.#rows = [...this.#byId.values()];
      // They come nearly in order: most often there is nothing to sort.
      if (this.#rows.some((row, at) => at > 0 && compare(this.#rows[at - 1]!, row) > 0)) this.#rows.sort(compare);
      this.#isSorted = true;
    }
    return this.#rows;
  }

  get open(): DecisionRowJson[] {
    return this.rows.filter(({ status }) => status === null);
  }

  /** Rows that made room for newer ones. */
  get dropped(): number {
    return this.#dropped;
  }

  find(id: string): DecisionRowJson | undefined {
    return this.#byId.get(id);
  }

  add(rows: readonly DecisionRowJson[]): void {
    if (rows.length === 0) return;
    for (const row of rows) {
      // An older answer that arrives late does not undo an end.
      const known = this.#byId.get(row.id);
      if (known === undefined || known.status === null || row.status !== null) this.#byId.set(row.id, row);
    }
    this.#isSorted = false;
    if (this.#byId.size > mostRows) this.#makeRoom();
  }

  clear(): void {
    this.#byId.clear();
    this.#isSorted = false;
  }

  #makeRoom(): void {
    const excess = this.#byId.size - mostRows;
    const { rows } = this;
    const expendable = rows.filter((row) => row.status !== null && !hasFailed(row));
    for (const { id } of [...expendable, ...rows].slice(0, excess)) this.#byId.delete(id);
    this.#dropped += excess;
    this.#isSorted = false;
  }
}

/** A client that left is no failure of the pool. */
export function hasFailed({ status }: DecisionRowJson): boolean {
  return status !== null && status >= 400 && status !== 499;
}

/** Ids count up in base 36 after their prefix, which is another one after a restart. */
function compare(a: DecisionRowJson, b: DecisionRowJson): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.id.length - b.id.length || (a.id < b.id ? -1 : 1);
}

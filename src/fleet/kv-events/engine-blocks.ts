import { BlockTable, placeBytes } from './block-table.ts';

/** Tables that grow one by one, a little later each: one for all would hold everybody up while it grows. */
const parts = 128;

/**
 * An engine's blocks by its own 64-bit hashes: engines remove by their hashes, and continue chains from them. Where a block
 * stands is the number that `find` gives, until the next change. Bounded by bytes.
 */
export class EngineBlocks {
  readonly #tables: readonly BlockTable[];

  constructor(limitBytes: number) {
    const places = Math.floor(limitBytes / placeBytes / parts);
    this.#tables = Array.from({ length: parts }, () => new BlockTable(places));
  }

  get count(): number {
    return this.#tables.reduce((sum, table) => sum + table.count, 0);
  }

  get bytes(): number {
    return this.#tables.reduce((sum, table) => sum + table.bytes, 0);
  }

  /** Where the engine's hash stands, or -1. */
  find(low: number, high: number): number {
    const part = partOf(low, high);
    const at = this.#tables[part]!.find(low, high);
    return at < 0 ? -1 : at * parts + part;
  }

  /** Our hash of the block at `at`, in two halves. */
  ownLow(at: number): number {
    return this.#tables[at % parts]!.ownLow(Math.floor(at / parts));
  }

  ownHigh(at: number): number {
    return this.#tables[at % parts]!.ownHigh(Math.floor(at / parts));
  }

  /** One more copy of a block that is known already. */
  addCopy(at: number, inSlowerTier: boolean): void {
    this.#tables[at % parts]!.addCopy(Math.floor(at / parts), inSlowerTier);
  }

  /** A block that was not known. `evicted` is called with our hash of one that has to go for it. */
  add(
    low: number,
    high: number,
    ownLow: number,
    ownHigh: number,
    inSlowerTier: boolean,
    evicted: (ownLow: number, ownHigh: number) => void,
  ): void {
    this.#tables[partOf(low, high)]!.add(low, high, ownLow, ownHigh, inSlowerTier, evicted);
  }

  /** One copy less; whether that was the tier's last one. The block goes with the last copy of all. */
  removeCopy(at: number, fromSlowerTier: boolean): boolean {
    return this.#tables[at % parts]!.removeCopy(Math.floor(at / parts), fromSlowerTier);
  }

  /** Whether it is stored in the tier. */
  isIn(at: number, slowerTier: boolean): boolean {
    return this.#tables[at % parts]!.isIn(Math.floor(at / parts), slowerTier);
  }

  /** Calls with our hash of every block, and whether it is in no tier but a slower one. */
  each(visit: (ownLow: number, ownHigh: number, onlySlower: boolean) => void): void {
    for (const table of this.#tables) table.each(visit);
  }

  clear(): void {
    for (const table of this.#tables) table.clear();
  }
}

/** Other bits than those that say where in its table a block stands; small numbers are told apart as well. */
function partOf(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0xc2b2ae35), 0x27d4eb2f);
  return (mixed ^ (mixed >>> 15)) & (parts - 1);
}

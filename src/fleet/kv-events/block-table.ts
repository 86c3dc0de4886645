const entryWords = 4;
const fullShare = 0.85;
const growth = 1.3;
const fewest = 16;
/** Bytes of a place. */
export const placeBytes = 4 * entryWords + 1;
/** How often a block is stored in the fast and in the slower tiers, in one byte. */
const fastMost = 31;
const slowerUnit = 32;
const slowerMost = 7;

/**
 * Blocks by their engine's 64-bit hashes, each with our hash of the same prefix and how many copies the engine says it
 * has. Open addressing in typed arrays; bounded, and past the bound an entry goes for each that comes.
 */
export class BlockTable {
  readonly #mostPlaces: number;
  /** Engine's hash in two halves, ours in two halves; all zero where free. */
  #entries = new Uint32Array(fewest * entryWords);
  #copies = new Uint8Array(fewest);
  #capacity = fewest;
  #count = 0;
  #hand = 0;

  constructor(mostPlaces: number) {
    this.#mostPlaces = Math.max(fewest, mostPlaces);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#capacity * placeBytes;
  }

  /** Where the engine's hash stands until the next change, or -1. */
  find(low: number, high: number): number {
    const entries = this.#entries;
    for (let at = this.#home(low, high); !this.#isFree(at); at = at + 1 === this.#capacity ? 0 : at + 1) {
      if (entries[at * entryWords] === low && entries[at * entryWords + 1] === high) return at;
    }
    return -1;
  }

  ownLow(at: number): number {
    return this.#entries[at * entryWords + 2]!;
  }

  ownHigh(at: number): number {
    return this.#entries[at * entryWords + 3]!;
  }

  /** One more copy of a block that is known already. */
  addCopy(at: number, inSlowerTier: boolean): void {
    const copies = this.#copies[at]!;
    if (inSlowerTier) this.#copies[at] = copies >= slowerMost * slowerUnit ? copies : copies + slowerUnit;
    else this.#copies[at] = (copies & fastMost) === fastMost ? copies : copies + 1;
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
    if (this.#count >= Math.floor(this.#capacity * fullShare)) {
      if (this.#capacity === this.#mostPlaces) this.#evict(evicted);
      else this.#resize(Math.min(this.#mostPlaces, Math.ceil(this.#capacity * growth)));
    }
    let at = this.#home(low, high);
    while (!this.#isFree(at)) at = at + 1 === this.#capacity ? 0 : at + 1;
    this.#entries[at * entryWords] = low;
    this.#entries[at * entryWords + 1] = high;
    this.#entries[at * entryWords + 2] = ownLow;
    // Both halves zero would read as free.
    this.#entries[at * entryWords + 3] = ownLow === 0 && ownHigh === 0 ? 1 : ownHigh;
    this.#copies[at] = inSlowerTier ? slowerUnit : 1;
    this.#count += 1;
  }

  /** One copy less; whether that was the tier's last one. The block goes with the last copy of all. */
  removeCopy(at: number, fromSlowerTier: boolean): boolean {
    const copies = this.#copies[at]!;
    const fast = copies & fastMost;
    const slower = copies >>> 5;
    if ((fromSlowerTier ? slower : fast) === 0) return false;
    const left = copies - (fromSlowerTier ? slowerUnit : 1);
    this.#copies[at] = left;
    if (left === 0) this.#delete(at);
    return (fromSlowerTier ? slower : fast) === 1;
  }

  /** Whether it is stored in the tier. */
  isIn(at: number, slowerTier: boolean): boolean {
    return slowerTier ? this.#copies[at]! >= slowerUnit : (this.#copies[at]! & fastMost) > 0;
  }

  /** Calls with our hash of every block, and whether it is in no tier but a slower one. */
  each(visit: (ownLow: number, ownHigh: number, onlySlower: boolean) => void): void {
    for (let at = 0; at < this.#capacity; at++) {
      if (!this.#isFree(at)) visit(this.ownLow(at), this.ownHigh(at), !this.isIn(at, false));
    }
  }

  clear(): void {
    this.#entries = new Uint32Array(fewest * entryWords);
    this.#copies = new Uint8Array(fewest);
    this.#capacity = fewest;
    this.#count = 0;
    this.#hand = 0;
  }

  #home(low: number, high: number): number {
    // Engines' hashes are well mixed, but some tests' and simulators' are small numbers.
    const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
    return Math.floor((((mixed ^ (mixed >>> 16)) >>> 0) * this.#capacity) / 2 ** 32);
  }

  #isFree(at: number): boolean {
    return this.#entries[at * entryWords + 2] === 0 && this.#entries[at * entryWords + 3] === 0;
  }

  /** Closes the gap, so that searches may end at the first free place. */
  #delete(at: number): void {
    let gap = at;
    for (let next = (gap + 1) % this.#capacity; !this.#isFree(next); next = (next + 1) % this.#capacity) {
      const home = this.#home(this.#entries[next * entryWords]!, this.#entries[next * entryWords + 1]!);
      const fromHome = (next - home + this.#capacity) % this.#capacity;
      const fromGap = (next - gap + this.#capacity) % this.#capacity;
      if (fromHome < fromGap) continue;
      this.#entries.copyWithin(gap * entryWords, next * entryWords, (next + 1) * entryWords);
      this.#copies[gap] = this.#copies[next]!;
      gap = next;
    }
    this.#entries.fill(0, gap * entryWords, (gap + 1) * entryWords);
    this.#copies[gap] = 0;
    this.#count -= 1;
  }

  #evict(evicted: (ownLow: number, ownHigh: number) => void): void {
    while (this.#isFree(this.#hand % this.#capacity)) this.#hand += 1;
    const at = this.#hand % this.#capacity;
    this.#hand = at + 1;
    const [low, high] = [this.ownLow(at), this.ownHigh(at)];
    this.#delete(at);
    evicted(low, high);
  }

  #resize(capacity: number): void {
    const [entries, copies, before] = [this.#entries, this.#copies, this.#capacity];
    this.#entries = new Uint32Array(capacity * entryWords);
    this.#copies = new Uint8Array(capacity);
    this.#capacity = capacity;
    for (let place = 0; place < before; place++) {
      const from = place * entryWords;
      if (entries[from + 2] === 0 && entries[from + 3] === 0) continue;
      let at = this.#home(entries[from]!, entries[from + 1]!);
      while (!this.#isFree(at)) at = at + 1 === capacity ? 0 : at + 1;
      for (let word = 0; word < entryWords; word++) this.#entries[at * entryWords + word] = entries[from + word]!;
      this.#copies[at] = copies[place]!;
    }
  }
}

/** Classes to a doubling of the size. */
const perDoubling = 8;

/** How many there are of each size, roughly: says next to free of charge how small the smallest may be. */
export class SizeClasses {
  readonly #counts = new Uint32Array(perDoubling * 32);

  add(size: number): void {
    this.#counts[classOf(size)]! += 1;
  }

  remove(size: number): void {
    this.#counts[classOf(size)]! -= 1;
  }

  /** None is smaller, and one is less than a tenth larger; infinite without any. */
  get leastSize(): number {
    let least = 0;
    while (least < this.#counts.length && this.#counts[least] === 0) least += 1;
    return least === this.#counts.length ? Infinity : Math.floor(2 ** (least / perDoubling) - 1);
  }
}

function classOf(size: number): number {
  return Math.floor(perDoubling * Math.log2(1 + size));
}

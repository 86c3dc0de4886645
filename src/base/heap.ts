/** A binary heap whose items can also be taken out from the middle or moved when what orders them has changed. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #places = new Map<Item, number>();
  readonly #before: (left: Item, right: Item) => boolean;

  constructor(before: (left: Item, right: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first; undefined when empty. */
  get top(): Item | undefined {
    return this.#items[0];
  }

  has(item: Item): boolean {
    return this.#places.has(item);
  }

  /** One with none behind it, though not always the very last; undefined when empty. */
  get leaf(): Item | undefined {
    return this.#items.at(-1);
  }

  /** In no particular order. */
  values(): IterableIterator<Item> {
    return this.#items.values();
  }

  /** In order, until something is put in or taken out. The first few cost little, however many there are. */
  *inOrder(): Generator<Item, undefined> {
    /** Places of which everything above was given, the first in order last. */
    const open = this.#items.length === 0 ? [] : [0];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      yield this.#items[place]!;
      for (let below = 2 * place + 1; below <= 2 * place + 2 && below < this.#items.length; below++) {
        let at = open.length;
        while (at > 0 && this.#before(this.#items[open[at - 1]!]!, this.#items[below]!)) at -= 1;
        open.splice(at, 0, below);
      }
    }
  }

  /** Puts an item in, or to where it belongs now. */
  put(item: Item): void {
    const place = this.#places.get(item);
    if (place !== undefined) {
      this.#settle(place);
      return;
    }
    this.#items.push(item);
    this.#places.set(item, this.#items.length - 1);
    this.#rise(this.#items.length - 1);
  }

  /** False when it was not there. */
  delete(item: Item): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    this.#places.delete(item);
    const last = this.#items.pop()!;
    if (place < this.#items.length) {
      this.#set(place, last);
      this.#settle(place);
    }
    return true;
  }

  #settle(place: number): void {
    this.#sink(this.#rise(place));
  }

  #rise(from: number): number {
    let place = from;
    const item = this.#items[place]!;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!this.#before(item, this.#items[above]!)) break;
      this.#set(place, this.#items[above]!);
      place = above;
    }
    this.#set(place, item);
    return place;
  }

  #sink(from: number): void {
    let place = from;
    const item = this.#items[place]!;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= this.#items.length) break;
      if (below + 1 < this.#items.length && this.#before(this.#items[below + 1]!, this.#items[below]!)) below += 1;
      if (!this.#before(this.#items[below]!, item)) break;
      this.#set(place, this.#items[below]!);
      place = below;
    }
    this.#set(place, item);
  }

  #set(place: number, item: Item): void {
    this.#items[place] = item;
    this.#places.set(item, place);
  }
}

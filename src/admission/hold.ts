/** A request that waits in the gateway for its place. */
export interface Held<Item> {
  readonly item: Item;
  readonly arrivedAtMs: number;
  /** Where it stands: lower goes first. */
  readonly order: number;
}

/**
 * Requests held back while every endpoint that suits them has prefill enough. In the order of
 * `arrival + prefillWeight · own prefill`: short ones first, while waiting moves everyone forward alike, so that nobody
 * is passed for longer than `prefillWeight` times the prefill it needs itself.
 */
export class HoldQueue<Item> {
  readonly #held: Held<Item>[] = [];

  get size(): number {
    return this.#held.length;
  }

  add(item: Item, arrivedAtMs: number, prefillSeconds: number, prefillWeight: number): Held<Item> {
    const held = { item, arrivedAtMs, order: arrivedAtMs + prefillWeight * prefillSeconds * 1000 };
    this.#held.splice(this.#placeOf(held.order), 0, held);
    return held;
  }

  /** Takes it out; false when it was no longer held. */
  remove(held: Held<Item>): boolean {
    const at = this.#held.indexOf(held);
    if (at >= 0) this.#held.splice(at, 1);
    return at >= 0;
  }

  /** The one at `position` in the order, 0 being next; undefined beyond the end. */
  at(position: number): Held<Item> | undefined {
    return this.#held[position];
  }

  /** Behind all of the same order. */
  #placeOf(order: number): number {
    let low = 0;
    let high = this.#held.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#held[middle]!.order <= order) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

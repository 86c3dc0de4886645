import type { BlockHashes } from '../../base/block-hash.ts';
import type { PrefixIndex } from './prefix-index.ts';

/** Events take milliseconds; what none has confirmed by then was not cached, or has been evicted. */
const lifeMs = 2000;

interface Speculative {
  readonly hashes: BlockHashes;
  readonly slot: number;
  readonly untilMs: number;
}

/**
 * What was just computed at endpoints whose events tell what they have: it counts at once, and for as long as an event
 * may be under way; after that only the event counts.
 */
export class Speculation {
  readonly #index: PrefixIndex;
  #queue: Speculative[] = [];
  #head = 0;

  constructor(index: PrefixIndex) {
    this.#index = index;
  }

  /** The slot has computed these blocks, which are in the index as pending. */
  computed(hashes: BlockHashes, slot: number, nowMs: number): void {
    this.#queue.push({ hashes, slot, untilMs: nowMs + lifeMs });
  }

  /** Takes back what is older than an event can be late. */
  expire(nowMs: number): void {
    while (this.#head < this.#queue.length && this.#queue[this.#head]!.untilMs <= nowMs) {
      const { hashes, slot } = this.#queue[this.#head++]!;
      this.#index.withdraw(hashes, slot);
    }
    if (this.#head > 1024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}

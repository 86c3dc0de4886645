/** Told of blocks that can be found by their hash, and of those that no longer can. */
export interface BlockListener {
  /** Block `index` of the request's tokens is full and in the cache. */
  stored(requestId: string, index: number, hash: number, parentHash: number): void;
  removed(hash: number): void;
  /** No block can be found any more. */
  cleared(): void;
}

/**
 * A paged KV cache with prefix caching, as vLLM V1 keeps it: blocks are counted by reference, full ones are found by
 * their chained hash, and a block that nobody holds stays findable until the least recently freed is needed again.
 * Everything is typed arrays over block numbers, the free list included.
 */
export class KvCache {
  readonly blockCount: number;
  readonly prefixCaching: boolean;
  readonly #listener: BlockListener | undefined;
  readonly #references: Int32Array;
  /** Hash under which a block is found; 0 for none. */
  readonly #hashes: Float64Array;
  readonly #blockByHash = new Map<number, number>();
  /* Free list, least recently freed first; index `blockCount` is its anchor. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #free: number;

  constructor(blockCount: number, prefixCaching: boolean, listener?: BlockListener) {
    this.blockCount = blockCount;
    this.prefixCaching = prefixCaching;
    this.#listener = listener;
    this.#references = new Int32Array(blockCount);
    this.#hashes = new Float64Array(blockCount);
    this.#next = Int32Array.from({ length: blockCount + 1 }, (_, block) => (block + 1) % (blockCount + 1));
    this.#previous = Int32Array.from({ length: blockCount + 1 }, (_, block) => (block + blockCount) % (blockCount + 1));
    this.#free = blockCount;
  }

  /** Blocks that nobody holds; cached ones count. */
  get free(): number {
    return this.#free;
  }

  /** Share of blocks held by live requests, 0..1: vLLM's `kv_cache_usage_perc`. */
  get usage(): number {
    return 1 - this.#free / this.blockCount;
  }

  /** Blocks that can be found by hash. */
  get cached(): number {
    return this.#blockByHash.size;
  }

  /** How many leading blocks of the chain are here, at most `limit`. */
  match(hashAt: (index: number) => number, limit: number): number {
    if (!this.prefixCaching) return 0;
    let count = 0;
    while (count < limit && this.#blockByHash.has(hashAt(count))) count += 1;
    return count;
  }

  /** Of the first `count` blocks of a matched chain, those that nobody holds: taking them uses up free blocks. */
  freeAmong(hashAt: (index: number) => number, count: number): number {
    let free = 0;
    for (let index = 0; index < count; index++) {
      if (this.#references[this.#blockByHash.get(hashAt(index))!] === 0) free += 1;
    }
    return free;
  }

  /** Takes hold of the first `count` blocks of a matched chain. */
  adopt(table: number[], hashAt: (index: number) => number, count: number): void {
    for (let index = 0; index < count; index++) {
      const block = this.#blockByHash.get(hashAt(index))!;
      if (this.#references[block]! === 0) this.#unlink(block);
      this.#references[block]! += 1;
      table.push(block);
    }
  }

  /** Takes `count` fresh blocks, evicting what was freed longest ago; false and no change when there are too few. */
  extend(table: number[], count: number): boolean {
    if (count > this.#free) return false;
    for (let taken = 0; taken < count; taken++) {
      const block = this.#next[this.blockCount]!;
      this.#unlink(block);
      this.#forget(block);
      this.#references[block] = 1;
      table.push(block);
    }
    return true;
  }

  /** Makes a full block findable, unless its content already is. */
  seal(block: number, hash: number, requestId: string, index: number, parentHash = 0): void {
    if (!this.prefixCaching || hash === 0 || this.#hashes[block] !== 0 || this.#blockByHash.has(hash)) return;
    this.#hashes[block] = hash;
    this.#blockByHash.set(hash, block);
    this.#listener?.stored(requestId, index, hash, parentHash);
  }

  /** Lets go of a request's blocks, last first: the end of a prompt is shared least and is evicted first. */
  release(table: number[]): void {
    for (let index = table.length - 1; index >= 0; index--) {
      const block = table[index]!;
      this.#references[block]! -= 1;
      if (this.#references[block] === 0) this.#append(block);
    }
    table.length = 0;
  }

  /** Forgets every cached block that nobody holds (vLLM's `/reset_prefix_cache`). */
  clear(): void {
    for (let block = 0; block < this.blockCount; block++) if (this.#references[block] === 0) this.#forget(block);
    if (this.#blockByHash.size === 0) this.#listener?.cleared();
  }

  #forget(block: number): void {
    const hash = this.#hashes[block]!;
    if (hash === 0) return;
    this.#hashes[block] = 0;
    this.#blockByHash.delete(hash);
    this.#listener?.removed(hash);
  }

  #unlink(block: number): void {
    const next = this.#next[block]!;
    const previous = this.#previous[block]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#free -= 1;
  }

  #append(block: number): void {
    const last = this.#previous[this.blockCount]!;
    this.#next[last] = block;
    this.#previous[block] = last;
    this.#next[block] = this.blockCount;
    this.#previous[this.blockCount] = block;
    this.#free += 1;
  }
}

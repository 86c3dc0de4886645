import type { BlockHashes } from '../../base/block-hash.ts';

/** A generation's share of the capacity: between 0.7 and 1.4 capacities are remembered, 1.05 on average. */
const generationShare = 0.7;

/**
 * Which endpoint has which prompt prefix, as far as our own routing tells: a hash table of prompt blocks, each with one
 * bit per slot. One walk over a prompt's blocks finds the longest run of every endpoint at once, in time that grows with
 * blocks + endpoints. Bounded in bytes; when full, blocks not used since the clock's hand last passed go first
 * (second-chance, the usual approximation of LRU).
 *
 * A block is *pending* from the pick until the first token confirms it. Pending blocks count, since an engine caches a
 * queued request's prefix before it reaches the next one; when the request fails they are withdrawn, unless confirmed.
 *
 * Engines evict as well. Where a slot's capacity is known, its blocks have two generations: those used since the
 * generation began, and those used in the one before. When the new generation reaches a share of the capacity, it
 * becomes the old one and what was old is forgotten: LRU, coarse by that share.
 */
export class PrefixIndex {
  readonly #limitBytes: number;
  /** 32-bit words of slots per block. */
  #words: number;
  #capacity: number;
  #count = 0;
  #hand = 0;
  #low: Uint32Array;
  #high: Uint32Array;
  /** Next block in the same bucket, as index + 1; 0 ends a chain. */
  #next: Uint32Array;
  #used: Uint8Array;
  /** Bits of slots that used the block in their present generation, pending or confirmed. */
  #young: Uint32Array;
  /** Bits of slots that used it in their present generation or the one before: those thought to hold it. */
  #held: Uint32Array;
  #confirmed: Uint32Array;
  /** Bits set in `#held`, by slot. */
  #heldBlocks: Float64Array;
  #buckets: Uint32Array;
  /** Tokens each slot's cache holds, where known, and tokens in its present generation. */
  readonly #capacityTokens = new Map<number, number>();
  readonly #youngTokens = new Map<number, number>();

  constructor(limitBytes = 64 * 1024 * 1024, slots = 32) {
    this.#limitBytes = limitBytes;
    this.#words = Math.ceil(slots / 32);
    this.#capacity = Math.min(1024, this.#largestCapacity());
    this.#low = new Uint32Array(this.#capacity);
    this.#high = new Uint32Array(this.#capacity);
    this.#next = new Uint32Array(this.#capacity);
    this.#used = new Uint8Array(this.#capacity);
    this.#young = new Uint32Array(this.#capacity * this.#words);
    this.#held = new Uint32Array(this.#capacity * this.#words);
    this.#confirmed = new Uint32Array(this.#capacity * this.#words);
    this.#heldBlocks = new Float64Array(this.#words * 32);
    this.#buckets = new Uint32Array(bucketsFor(this.#capacity));
  }

  /** How many tokens the slot's engine can keep cached. */
  setCapacity(slot: number, tokens: number): void {
    this.#capacityTokens.set(slot, tokens);
  }

  /** Blocks stored. */
  get blocks(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#capacity * this.#bytesPerBlock();
  }

  /** Blocks that the slot is thought to hold. */
  blocksAt(slot: number): number {
    return this.#heldBlocks[slot] ?? 0;
  }

  /** Length in blocks of the leading run that each slot holds, into `runs` (indexed by slot). */
  longestRuns(hashes: BlockHashes, runs: Float64Array): void {
    runs.fill(0);
    const alive = new Uint32Array(this.#words).fill(0xffffffff);
    const blocks = hashes.low.length;
    for (let depth = 0; depth < blocks; depth++) {
      const block = this.#find(hashes.low[depth]!, hashes.high[depth]!);
      if (block >= 0) this.#used[block] = 1;
      let anyAlive = 0;
      for (let word = 0; word < this.#words; word++) {
        const before = alive[word]!;
        const after = block < 0 ? 0 : (before & this.#held[block * this.#words + word]!) >>> 0;
        if (after !== before && depth > 0) this.#endRuns((before & ~after) >>> 0, word, depth, runs);
        alive[word] = after;
        anyAlive |= after;
      }
      if (anyAlive === 0) return;
    }
    for (let word = 0; word < this.#words; word++) this.#endRuns(alive[word]!, word, blocks, runs);
  }

  /** The slot is about to compute these blocks, of `tokensPerBlock` each. */
  addPending(hashes: BlockHashes, slot: number, tokensPerBlock = 0): void {
    this.#add(hashes, slot, tokensPerBlock, false);
  }

  /** The slot has computed these blocks. */
  confirm(hashes: BlockHashes, slot: number, tokensPerBlock = 0): void {
    this.#add(hashes, slot, tokensPerBlock, true);
  }

  /** The slot never computed these blocks: those that no other request confirmed go. */
  withdraw(hashes: BlockHashes, slot: number): void {
    if (slot >= this.#words * 32) return;
    for (let depth = 0; depth < hashes.low.length; depth++) {
      const block = this.#find(hashes.low[depth]!, hashes.high[depth]!);
      if (block < 0 || this.#bit(this.#confirmed, block, slot)) continue;
      const word = block * this.#words + (slot >>> 5);
      const bit = 1 << (slot & 31);
      if ((this.#held[word]! & bit) !== 0) this.#heldBlocks[slot]! -= 1;
      this.#held[word]! &= ~bit;
      this.#young[word]! &= ~bit;
    }
  }

  /** The slot's endpoint has gone or lost its cache. */
  forget(slot: number): void {
    if (slot >= this.#words * 32) return;
    const mask = ~(1 << (slot & 31));
    const end = this.#count * this.#words;
    for (let word = slot >>> 5; word < end; word += this.#words) {
      this.#young[word]! &= mask;
      this.#held[word]! &= mask;
      this.#confirmed[word]! &= mask;
    }
    this.#heldBlocks[slot] = 0;
    this.#youngTokens.delete(slot);
  }

  /** What the slot used in its present generation becomes its old one; what was old is no longer there. */
  #turnGeneration(slot: number): void {
    const bit = 1 << (slot & 31);
    const end = this.#count * this.#words;
    for (let word = slot >>> 5; word < end; word += this.#words) {
      if ((this.#held[word]! & bit) === 0) continue;
      if ((this.#young[word]! & bit) === 0) {
        this.#held[word]! &= ~bit;
        this.#confirmed[word]! &= ~bit;
        this.#heldBlocks[slot]! -= 1;
      } else this.#young[word]! &= ~bit;
    }
    this.#youngTokens.set(slot, 0);
  }

  #add(hashes: BlockHashes, slot: number, tokensPerBlock: number, confirmed: boolean): void {
    if (slot >= this.#words * 32) this.#rebuild(this.#capacity, Math.ceil((slot + 1) / 32));
    const bit = 1 << (slot & 31);
    // A prompt larger than the whole index would only evict itself.
    const blocks = Math.min(hashes.low.length, this.#largestCapacity() >>> 1);
    let newBlocks = 0;
    for (let depth = 0; depth < blocks; depth++) {
      const low = hashes.low[depth]!;
      const high = hashes.high[depth]!;
      let block = this.#find(low, high);
      // A new block has to be used again to be spared: were all fresh ones, the hand would clear the whole table at once.
      if (block < 0) block = this.#insert(low, high);
      else this.#used[block] = 1;
      const word = block * this.#words + (slot >>> 5);
      if ((this.#young[word]! & bit) === 0) newBlocks++;
      if ((this.#held[word]! & bit) === 0) this.#heldBlocks[slot]! += 1;
      this.#young[word]! |= bit;
      this.#held[word]! |= bit;
      if (confirmed) this.#confirmed[word]! |= bit;
    }
    const capacity = this.#capacityTokens.get(slot);
    if (capacity === undefined) return;
    const youngTokens = (this.#youngTokens.get(slot) ?? 0) + newBlocks * tokensPerBlock;
    this.#youngTokens.set(slot, youngTokens);
    if (youngTokens > capacity * generationShare) this.#turnGeneration(slot);
  }

  #find(low: number, high: number): number {
    let link = this.#buckets[low & (this.#buckets.length - 1)]!;
    while (link !== 0) {
      const block = link - 1;
      if (this.#low[block] === low && this.#high[block] === high) return block;
      link = this.#next[block]!;
    }
    return -1;
  }

  #insert(low: number, high: number): number {
    if (this.#count === this.#capacity && this.#capacity < this.#largestCapacity()) {
      this.#rebuild(Math.min(this.#capacity * 2, this.#largestCapacity()), this.#words);
    }
    const block = this.#count < this.#capacity ? this.#count++ : this.#evict();
    this.#link(block, low, high);
    return block;
  }

  #link(block: number, low: number, high: number): void {
    const bucket = low & (this.#buckets.length - 1);
    this.#low[block] = low;
    this.#high[block] = high;
    this.#next[block] = this.#buckets[bucket]!;
    this.#buckets[bucket] = block + 1;
  }

  /** Frees the next block that was not used since the hand's last pass, and gives its place. */
  #evict(): number {
    for (;;) {
      const block = this.#hand;
      this.#hand = (this.#hand + 1) % this.#capacity;
      const first = block * this.#words;
      const held = this.#held.subarray(first, first + this.#words).some((word) => word !== 0);
      if (this.#used[block] === 1 && held) {
        this.#used[block] = 0;
        continue;
      }
      this.#unlink(block);
      this.#countOut(block);
      this.#young.fill(0, first, first + this.#words);
      this.#held.fill(0, first, first + this.#words);
      this.#used[block] = 0;
      this.#confirmed.fill(0, first, first + this.#words);
      return block;
    }
  }

  /** The block leaves every slot that held it. */
  #countOut(block: number): void {
    for (let word = 0; word < this.#words; word++) {
      for (let bits = this.#held[block * this.#words + word]!; bits !== 0; bits = (bits & (bits - 1)) >>> 0) {
        this.#heldBlocks[word * 32 + (31 - Math.clz32(bits & -bits))]! -= 1;
      }
    }
  }

  #unlink(block: number): void {
    const bucket = this.#low[block]! & (this.#buckets.length - 1);
    let link = this.#buckets[bucket]!;
    if (link === block + 1) {
      this.#buckets[bucket] = this.#next[block]!;
      return;
    }
    while (this.#next[link - 1] !== block + 1) link = this.#next[link - 1]!;
    this.#next[link - 1] = this.#next[block]!;
  }

  /** Moves everything into columns of another size; what no longer fits is dropped. */
  #rebuild(capacity: number, words: number): void {
    const old = {
      low: this.#low,
      high: this.#high,
      young: this.#young,
      held: this.#held,
      confirmed: this.#confirmed,
      used: this.#used,
    };
    const oldWords = this.#words;
    const kept = Math.min(capacity, this.#largestCapacity(words));
    for (let block = kept; block < this.#count; block++) this.#countOut(block);
    const heldBlocks = new Float64Array(words * 32);
    heldBlocks.set(this.#heldBlocks.subarray(0, heldBlocks.length));
    this.#heldBlocks = heldBlocks;
    this.#words = words;
    this.#capacity = kept;
    this.#low = new Uint32Array(this.#capacity);
    this.#high = new Uint32Array(this.#capacity);
    this.#next = new Uint32Array(this.#capacity);
    this.#used = new Uint8Array(this.#capacity);
    this.#young = new Uint32Array(this.#capacity * words);
    this.#held = new Uint32Array(this.#capacity * words);
    this.#confirmed = new Uint32Array(this.#capacity * words);
    this.#buckets = new Uint32Array(bucketsFor(this.#capacity));
    this.#count = Math.min(this.#count, this.#capacity);
    this.#hand = 0;
    for (let block = 0; block < this.#count; block++) {
      this.#link(block, old.low[block]!, old.high[block]!);
      this.#used[block] = old.used[block]!;
      const from = block * oldWords;
      this.#young.set(old.young.subarray(from, from + Math.min(words, oldWords)), block * words);
      this.#held.set(old.held.subarray(from, from + Math.min(words, oldWords)), block * words);
      this.#confirmed.set(old.confirmed.subarray(from, from + Math.min(words, oldWords)), block * words);
    }
  }

  #bytesPerBlock(words = this.#words): number {
    const columns = 4 + 4 + 4 + 1 + 12 * words;
    const bucketAtWorst = 8;
    return columns + bucketAtWorst;
  }

  #largestCapacity(words = this.#words): number {
    return Math.max(16, Math.floor(this.#limitBytes / this.#bytesPerBlock(words)));
  }

  #bit(column: Uint32Array, block: number, slot: number): boolean {
    return (column[block * this.#words + (slot >>> 5)]! & (1 << (slot & 31))) !== 0;
  }

  #endRuns(ended: number, word: number, depth: number, runs: Float64Array): void {
    for (let bits = ended; bits !== 0; bits = (bits & (bits - 1)) >>> 0) {
      const slot = word * 32 + (31 - Math.clz32(bits & -bits));
      if (slot < runs.length) runs[slot] = depth;
    }
  }
}

/** A power of two, so that a mask finds the bucket. */
function bucketsFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity));
}

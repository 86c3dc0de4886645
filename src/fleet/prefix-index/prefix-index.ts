import type { BlockHashes } from '../../base/block-hash.ts';
import { emptySet, HolderSets, plane, planeBit } from './holder-sets.ts';

/** A generation's share of the capacity: between 0.7 and 1.4 capacities are remembered, 1.05 on average. */
const generationShare = 0.7;

/* An entry is four words: its hash's two, the next entry of its bucket as index + 1, and its set of holders. */
const entryWords = 4;
const entryBytes = 4 * entryWords + 4; // and its bucket
const usedFlag = 0x80000000;
/** So many blocks are read for, or evicted, at once. */
const batch = 16;
/** Of small tables less than this share goes at once. */
const leastEvictedAtOnce = 64;
/** Share of the budget that sets of holders may take. */
const setsShare = 1 / 8;

const sent = planeBit('sent');
const young = planeBit('young');
const confirmed = planeBit('confirmed');
const stored = planeBit('stored');
const slower = planeBit('slower');

/**
 * Which endpoint has which prompt prefix: a hash table of prompt blocks, each with the set of slots that have it. One
 * walk over a prompt's blocks finds the longest run of every endpoint at once and ends where nobody is left. The memory
 * is fixed; when it is full, blocks not used since the clock's hand last passed go first (second chance, the usual
 * approximation of LRU).
 *
 * Slots are known to have a block in two ways, kept side by side (see `plane`):
 *
 * *Sent* there by ourselves. Pending from the pick until the first token confirms it; pending ones count, since an
 * engine caches a queued request's prefix before it reaches the next one. When the request fails they are withdrawn,
 * unless confirmed. Engines evict as well: where a slot's capacity is known, its blocks have two generations, those used
 * since the generation began and those used in the one before. When the new generation reaches a share of the capacity
 * it becomes the old one and what was old is forgotten: LRU, coarse by that share.
 *
 * *Stored* there, as the engine itself says by KV events, which also say when it is no longer so.
 */
export class PrefixIndex {
  readonly limitBytes: number;
  readonly #capacity: number;
  readonly #entries: Uint32Array;
  readonly #buckets: Uint32Array;
  readonly #bucketScale: number;
  readonly #sets: HolderSets;
  readonly #setsLimitBytes: number;
  /** The last one takes what was read only so that it is near; kept nowhere, it would not be read. */
  readonly #heads = new Uint32Array(batch + 1);
  readonly #victims = new Uint32Array(batch);
  #alive: Uint32Array;
  /** Entries below it have been given out. */
  #used = 0;
  #free = 0;
  #count = 0;
  #hand = 0;
  #evictions = 0;
  /** Where the first block stood that `#addAll` found not to be young there. */
  #firstNew = 0;
  /** Tokens each slot's cache holds, where known, and tokens in its present generation. */
  readonly #capacityTokens = new Map<number, number>();
  readonly #youngTokens = new Map<number, number>();

  constructor(limitBytes = 64 * 1024 * 1024, slots = 32) {
    this.limitBytes = limitBytes;
    this.#setsLimitBytes = limitBytes * setsShare;
    this.#sets = new HolderSets(slots, 16);
    this.#alive = new Uint32Array(this.#sets.words);
    this.#capacity = Math.max(16, Math.floor((limitBytes * (1 - setsShare)) / entryBytes));
    // The operating system gives the memory as it is touched.
    this.#entries = new Uint32Array(this.#capacity * entryWords);
    this.#buckets = new Uint32Array(this.#capacity);
    this.#bucketScale = this.#capacity / 2 ** 32;
  }

  /** How many tokens the slot's engine can keep cached. */
  setCapacity(slot: number, tokens: number): void {
    this.#capacityTokens.set(slot, tokens);
  }

  capacityOf(slot: number): number | null {
    return this.#capacityTokens.get(slot) ?? null;
  }

  /** Blocks in the table. */
  get blocks(): number {
    return this.#count;
  }

  /** Memory in use: what the blocks ever took, for it is not given back. */
  get bytes(): number {
    return this.#used * entryBytes + this.#sets.bytes;
  }

  /** Different sets of endpoints that blocks are held by. */
  get holderSets(): number {
    return this.#sets.live;
  }

  /** Blocks that the slot is thought to hold. */
  blocksAt(slot: number): number {
    const sets = this.#sets;
    let count = 0;
    if (slot >= sets.words * 32) return 0;
    sets.each((set, blocks) => {
      if ((sets.held(set, slot >>> 5) & (1 << (slot & 31))) !== 0) count += blocks;
    });
    return count;
  }

  /** How many blocks are held by one slot, two, three…; index 0 counts those that nobody holds any more. */
  blocksByHolders(): number[] {
    const counts: number[] = [];
    this.#sets.each((set, blocks) => {
      let holders = 0;
      eachBit(this.#sets, set, () => holders++);
      counts[holders] = (counts[holders] ?? 0) + blocks;
    });
    return Array.from(counts, (count) => count ?? 0);
  }

  /** Slots that hold the block, and whether each has it nowhere but in a slower tier. */
  holdersOf(low: number, high: number): { slot: number; slower: boolean }[] {
    const entry = this.#find(low, high);
    const holders: { slot: number; slower: boolean }[] = [];
    if (entry < 0) return holders;
    const set = this.#setOf(entry);
    eachBit(this.#sets, set, (slot) => {
      const isSlower = (this.#sets.onlySlower(set, slot >>> 5) & (1 << (slot & 31))) !== 0;
      holders.push({ slot, slower: isSlower });
    });
    return holders;
  }

  /**
   * Length in blocks of the leading run that each slot holds, into `runs` (indexed by slot); how many of them it has in
   * a slower tier only, into `slowerRuns`.
   */
  longestRuns(hashes: BlockHashes, runs: Float64Array, slowerRuns?: Float64Array): void {
    runs.fill(0);
    slowerRuns?.fill(0);
    const sets = this.#sets;
    const alive = this.#alive.fill(0xffffffff);
    const { low, high } = hashes;
    const blocks = low.length;
    const heads = this.#heads;
    let set = -1;
    let since = 0;
    let entry = -1;
    let headsAt = -batch;
    for (let depth = 0; depth < blocks; depth++) {
      if (this.#isAt(entry + 1, low[depth]!, high[depth]!)) entry += 1;
      else {
        if (depth - headsAt >= batch) this.#readHeads(low, (headsAt = depth));
        entry = this.#findFrom(heads[depth - headsAt]!, low[depth]!, high[depth]!);
      }
      let holders = emptySet;
      if (entry >= 0) {
        const at = entry * entryWords + 3;
        holders = (this.#entries[at]! & ~usedFlag) >>> 0;
        this.#entries[at] = holders | usedFlag;
      }
      // Neighbours mostly have the same holders.
      if (holders === set) continue;
      if (slowerRuns !== undefined && set > 0) this.#countSlower(set, depth - since, slowerRuns);
      set = holders;
      since = depth;
      let anyAlive = 0;
      for (let word = 0; word < alive.length; word++) {
        const before = alive[word]!;
        const after = (before & sets.held(set, word)) >>> 0;
        if (after !== before && depth > 0) endRuns((before & ~after) >>> 0, word, depth, runs);
        alive[word] = after;
        anyAlive |= after;
      }
      if (anyAlive === 0) return;
    }
    if (blocks === 0) return;
    if (slowerRuns !== undefined && set > 0) this.#countSlower(set, blocks - since, slowerRuns);
    for (let word = 0; word < alive.length; word++) endRuns(alive[word]!, word, blocks, runs);
  }

  /** The slot is about to compute these blocks, of `tokensPerBlock` each. Gives how many lead that it had lately. */
  addPending(hashes: BlockHashes, slot: number, tokensPerBlock = 0): number {
    return this.#send(hashes, slot, tokensPerBlock, sent | young);
  }

  /** The slot has computed these blocks. Gives the same. */
  confirm(hashes: BlockHashes, slot: number, tokensPerBlock = 0): number {
    return this.#send(hashes, slot, tokensPerBlock, sent | young | confirmed);
  }

  /**
   * Visits `count` entries from `from` on: each block with each slot that it was sent to. Gives where to go on, -1 at the
   * end. What changes meanwhile is seen or not.
   */
  eachSent(from: number, count: number, visit: (slot: number, low: number, high: number) => void): number {
    const entries = this.#entries;
    const end = Math.min(this.#used, from + count);
    for (let entry = from; entry < end; entry++) {
      const at = entry * entryWords;
      if (entries[at + 3] === freeMark) continue;
      const set = this.#setOf(entry);
      eachBit(this.#sets, set, (slot) => {
        if (this.#sets.has(set, slot, plane.sent)) visit(slot, entries[at]!, entries[at + 1]!);
      });
    }
    return end < this.#used ? end : -1;
  }

  /** The slot never computed these blocks: those that no other request confirmed go. */
  withdraw(hashes: BlockHashes, slot: number): void {
    if (slot >= this.#sets.words * 32) return;
    for (let depth = 0; depth < hashes.low.length; depth++) {
      const entry = this.#find(hashes.low[depth]!, hashes.high[depth]!);
      if (entry < 0 || this.#sets.has(this.#setOf(entry), slot, plane.confirmed)) continue;
      this.#change(entry, slot, 0, sent | young);
    }
  }

  /** The slot's engine says that it has the first `count` of these blocks. */
  store(hashes: BlockHashes, count: number, slot: number, inSlowerTier: boolean): void {
    // What its engine says needs no guess beside it, and no second word when it is no longer so.
    this.#addAll(hashes, count, slot, inSlowerTier ? slower : stored, sent | young | confirmed);
  }

  /** The slot's engine says that it has a block no longer; whether it still has it in another tier. */
  unstore(low: number, high: number, slot: number, fromSlowerTier: boolean): boolean {
    const entry = this.#find(low, high);
    if (entry < 0 || slot >= this.#sets.words * 32) return false;
    const still = this.#sets.has(this.#setOf(entry), slot, fromSlowerTier ? plane.stored : plane.slower);
    this.#change(entry, slot, 0, fromSlowerTier ? slower : stored);
    return still;
  }

  /** The slot's endpoint has gone or lost its cache. */
  forget(slot: number): void {
    this.#removeSlot(slot, sent | young | confirmed | stored | slower);
    this.#youngTokens.delete(slot);
  }

  /** What was learned from what we sent is not to be believed any more, or no longer needed. */
  forgetSent(slot: number): void {
    this.#removeSlot(slot, sent | young | confirmed);
    this.#youngTokens.delete(slot);
  }

  /** What the slot's engine said is not to be believed any more. */
  forgetStored(slot: number): void {
    this.#removeSlot(slot, stored | slower);
  }

  #removeSlot(slot: number, planes: number): void {
    if (slot < this.#sets.words * 32) this.#sets.removeSlot(slot, planes);
  }

  #send(hashes: BlockHashes, slot: number, tokensPerBlock: number, planes: number): number {
    const newBlocks = this.#addAll(hashes, hashes.low.length, slot, planes, 0);
    const known = this.#firstNew;
    const capacity = this.#capacityTokens.get(slot);
    if (capacity === undefined) return known;
    const youngTokens = (this.#youngTokens.get(slot) ?? 0) + newBlocks * tokensPerBlock;
    if (youngTokens <= capacity * generationShare) {
      this.#youngTokens.set(slot, youngTokens);
      return known;
    }
    this.#sets.turnGeneration(slot);
    this.#youngTokens.set(slot, 0);
    return known;
  }

  /**
   * Puts the slot into the planes `added` of each block and takes it out of `removed`; how many of the blocks were not
   * young there. Where its engine says that it has a block, that it was sent there adds nothing.
   */
  #addAll(hashes: BlockHashes, count: number, slot: number, added: number, removed: number): number {
    const sets = this.#sets;
    if (slot >= sets.words * 32) {
      sets.widen(slot);
      this.#alive = new Uint32Array(sets.words);
    }
    // A prompt larger than the whole index would only evict itself.
    const blocks = Math.min(count, this.#capacity >>> 1);
    let newBlocks = 0;
    this.#firstNew = blocks;
    // Neighbours mostly have the same holders, and get the same ones.
    let from = -1;
    let to = -1;
    let isNew = false;
    let entry = -1;
    let headsAt = -batch;
    let evictions = this.#evictions;
    for (let depth = 0; depth < blocks; depth++) {
      if (sets.isFull) this.#makeRoomForSet();
      const low = hashes.low[depth]!;
      const high = hashes.high[depth]!;
      if (this.#isAt(entry + 1, low, high)) entry += 1;
      else {
        // They may change until their turn comes, so they are read again; by then they are near.
        if (depth - headsAt >= batch) this.#readHeads(hashes.low, (headsAt = depth));
        entry = this.#find(low, high);
      }
      // A new block has to be used again to be spared: were all fresh ones, the hand would clear the whole table at once.
      if (entry < 0) entry = this.#insert(low, high);
      else this.#entries[entry * entryWords + 3]! |= usedFlag;
      const at = entry * entryWords + 3;
      const word = this.#entries[at]!;
      const set = (word & ~usedFlag) >>> 0;
      // With the blocks that were evicted meanwhile their sets may have gone.
      if (set !== from || evictions !== this.#evictions) {
        evictions = this.#evictions;
        from = set;
        const isTold = (added & sent) !== 0 && (sets.has(set, slot, plane.stored) || sets.has(set, slot, plane.slower));
        isNew = !isTold && !sets.has(set, slot, plane.young);
        to = isTold ? set : sets.changed(set, slot, added, removed);
      }
      if (isNew && newBlocks++ === 0) this.#firstNew = depth;
      if (to === set) continue;
      sets.retain(to);
      this.#entries[at] = to | (word & usedFlag);
      sets.release(set);
    }
    return newBlocks;
  }

  #change(entry: number, slot: number, added: number, removed: number): void {
    const sets = this.#sets;
    if (sets.isFull) {
      const [low, high] = [this.#entries[entry * entryWords]!, this.#entries[entry * entryWords + 1]!];
      this.#makeRoomForSet();
      if (this.#find(low, high) !== entry) return;
    }
    const at = entry * entryWords + 3;
    const word = this.#entries[at]!;
    const set = (word & ~usedFlag) >>> 0;
    const to = sets.changed(set, slot, added, removed);
    if (to === set) return;
    sets.retain(to);
    this.#entries[at] = (to | (word & usedFlag)) >>> 0;
    sets.release(set);
    if (to === emptySet) this.#remove(entry);
  }

  /** Sets double when they are full; where that would exceed their share, blocks go until one is free. */
  #makeRoomForSet(): void {
    if (this.#sets.bytes * 2 <= this.#setsLimitBytes) return;
    while (this.#sets.isFull && this.#count > 0) this.#evict();
  }

  #find(low: number, high: number): number {
    return this.#findFrom(this.#buckets[(low * this.#bucketScale) | 0]!, low, high);
  }

  /** Whether the entry holds the block. Those of one prompt mostly stand side by side, as they were put in. */
  #isAt(entry: number, low: number, high: number): boolean {
    const entries = this.#entries;
    const at = entry * entryWords;
    return entry < this.#used && entries[at] === low && entries[at + 1] === high && entries[at + 3] !== freeMark;
  }

  /**
   * Buckets of the next blocks at once, and the entries that stand first there: memory answers several questions side by
   * side, but not one after another.
   */
  #readHeads(low: Uint32Array, from: number): void {
    const heads = this.#heads;
    const count = Math.min(batch, low.length - from);
    for (let i = 0; i < count; i++) heads[i] = this.#buckets[(low[from + i]! * this.#bucketScale) | 0]!;
    let read = 0;
    for (let i = 0; i < count; i++) if (heads[i] !== 0) read ^= this.#entries[(heads[i]! - 1) * entryWords]!;
    this.#heads[batch] = read;
  }

  #findFrom(head: number, low: number, high: number): number {
    const entries = this.#entries;
    let link = head;
    while (link !== 0) {
      const at = (link - 1) * entryWords;
      if (entries[at] === low && entries[at + 1] === high) return link - 1;
      link = entries[at + 2]!;
    }
    return -1;
  }

  #setOf(entry: number): number {
    return (this.#entries[entry * entryWords + 3]! & ~usedFlag) >>> 0;
  }

  #countSlower(set: number, blocks: number, slowerRuns: Float64Array): void {
    for (let word = 0; word < this.#alive.length; word++) {
      for (let bits = (this.#alive[word]! & this.#sets.onlySlower(set, word)) >>> 0; bits !== 0; bits &= bits - 1) {
        const slot = word * 32 + (31 - Math.clz32(bits & -bits));
        if (slot < slowerRuns.length) slowerRuns[slot]! += blocks;
      }
    }
  }

  #insert(low: number, high: number): number {
    if (this.#free === 0 && this.#used === this.#capacity) this.#evict();
    let entry = this.#free - 1;
    if (entry < 0) entry = this.#used++;
    else this.#free = this.#entries[entry * entryWords + 2]!;
    const at = entry * entryWords;
    const bucket = (low * this.#bucketScale) | 0;
    this.#entries[at] = low;
    this.#entries[at + 1] = high;
    this.#entries[at + 2] = this.#buckets[bucket]!;
    this.#entries[at + 3] = emptySet;
    this.#buckets[bucket] = entry + 1;
    this.#count += 1;
    this.#sets.retain(emptySet);
    return entry;
  }

  /** Frees the next blocks that were not used since the hand's last pass, one at least. */
  #evict(): void {
    const most = Math.max(1, Math.min(batch, Math.floor(this.#count / leastEvictedAtOnce)));
    const victims = this.#victims;
    let found = 0;
    // Within one round from the first one found nothing is come upon twice.
    for (let sinceFirst = 0; found < most && sinceFirst < this.#used; sinceFirst += found > 0 ? 1 : 0) {
      const entry = this.#hand;
      this.#hand = entry + 1 < this.#used ? entry + 1 : 0;
      const at = entry * entryWords + 3;
      const word = this.#entries[at]!;
      if (word === freeMark) continue;
      const set = (word & ~usedFlag) >>> 0;
      if (word !== set && !this.#sets.isEmpty(set)) this.#entries[at] = set;
      else victims[found++] = entry;
    }
    let read = 0;
    for (let i = 0; i < found; i++) {
      const head = this.#buckets[(this.#entries[victims[i]! * entryWords]! * this.#bucketScale) | 0]!;
      read ^= this.#entries[(head - 1) * entryWords + 2]!;
    }
    this.#heads[batch] = read;
    // Those freed last are given out first: neighbours are to be neighbours again.
    for (let i = found - 1; i >= 0; i--) this.#remove(victims[i]!);
    this.#evictions += found;
  }

  /** Takes the entry out of its bucket and frees it. */
  #remove(entry: number): void {
    const entries = this.#entries;
    const at = entry * entryWords;
    const bucket = (entries[at]! * this.#bucketScale) | 0;
    let link = this.#buckets[bucket]!;
    if (link === entry + 1) this.#buckets[bucket] = entries[at + 2]!;
    else {
      while (entries[(link - 1) * entryWords + 2] !== entry + 1) link = entries[(link - 1) * entryWords + 2]!;
      entries[(link - 1) * entryWords + 2] = entries[at + 2]!;
    }
    this.#sets.release(this.#setOf(entry));
    entries[at + 2] = this.#free;
    entries[at + 3] = freeMark;
    this.#free = entry + 1;
    this.#count -= 1;
  }
}

/** In place of a set, in entries that hold no block. */
const freeMark = 0xffffffff;

function eachBit(sets: HolderSets, set: number, visit: (slot: number) => void): void {
  for (let word = 0; word < sets.words; word++) {
    for (let bits = sets.held(set, word); bits !== 0; bits = (bits & (bits - 1)) >>> 0) {
      visit(word * 32 + (31 - Math.clz32(bits & -bits)));
    }
  }
}

function endRuns(ended: number, word: number, depth: number, runs: Float64Array): void {
  for (let bits = ended; bits !== 0; bits = (bits & (bits - 1)) >>> 0) {
    const slot = word * 32 + (31 - Math.clz32(bits & -bits));
    if (slot < runs.length) runs[slot] = depth;
  }
}

/** How a slot is known to have a block. A slot may be in several planes of the same set. */
export const plane = {
  /** By our own routing: it was sent there. */
  sent: 0,
  /** Sent in the slot's present generation. */
  young: 1,
  /** Sent, and computed as its answer shows. */
  confirmed: 2,
  /** Its engine said so: in the cache that computing reads from. */
  stored: 3,
  /** Its engine said so: in a slower tier (host memory, disk). */
  slower: 4,
} as const;
const planes = 5;

/** Bits of the planes, to change several at once. */
export const planeBit = (which: keyof typeof plane): number => 1 << plane[which];

/** The set that nobody is in. */
export const emptySet = 0;

/**
 * Sets of slots, each kept once however many blocks have it: the blocks of a prompt are mostly held by the same
 * endpoints, so a block costs a number and not a row of bits, and what happens to a slot as a whole (its endpoint has
 * gone, a generation of it ends) costs a look at each set and not at each block. Counted by reference.
 */
export class HolderSets {
  /** 32-bit words of slots per plane. */
  #words: number;
  #stride: number;
  #bits: Uint32Array;
  #references: Uint32Array;
  /** Next set in the same bucket as id + 1, or in the list of free ones. */
  #next: Uint32Array;
  #buckets: Uint32Array;
  #scratch: Uint32Array;
  #capacity: number;
  /** Ids below it have been given out. */
  #used = 1;
  #free = 0;
  #live = 0;

  constructor(slots: number, capacity = 64) {
    this.#words = Math.max(1, Math.ceil(slots / 32));
    this.#stride = this.#words * planes;
    this.#scratch = new Uint32Array(this.#stride);
    this.#capacity = capacity;
    this.#bits = new Uint32Array(capacity * this.#stride);
    this.#references = new Uint32Array(capacity);
    this.#next = new Uint32Array(capacity);
    this.#buckets = new Uint32Array(capacity);
  }

  get words(): number {
    return this.#words;
  }

  /** Sets that some block has. */
  get live(): number {
    return this.#live;
  }

  get bytes(): number {
    return this.#capacity * this.bytesPerSet;
  }

  get bytesPerSet(): number {
    return 4 * (this.#stride + 3);
  }

  /** Whether one more set takes more memory. */
  get isFull(): boolean {
    return this.#free === 0 && this.#used === this.#capacity;
  }

  retain(set: number): void {
    this.#references[set]! += 1;
  }

  release(set: number): void {
    const left = --this.#references[set]!;
    if (left > 0 || set === emptySet) return;
    this.#unlink(set);
    this.#next[set] = this.#free;
    this.#free = set;
    this.#live -= 1;
  }

  /** The set with `slot` put into the planes `added` and taken out of `removed`. Not retained: whoever keeps it does that. */
  changed(set: number, slot: number, added: number, removed: number): number {
    const words = this.#words;
    const scratch = this.#scratch;
    const start = set * this.#stride;
    for (let i = 0; i < this.#stride; i++) scratch[i] = this.#bits[start + i]!;
    const bit = 1 << (slot & 31);
    const word = slot >>> 5;
    let differs = false;
    for (let which = 0; which < planes; which++) {
      const at = which * words + word;
      const before = scratch[at]!;
      if ((added >>> which) & 1) scratch[at] = before | bit;
      else if ((removed >>> which) & 1) scratch[at] = before & ~bit;
      differs ||= scratch[at] !== before;
    }
    return differs ? this.#intern() : set;
  }

  /** Slots 32·word … 32·word + 31 that have it in any way. */
  held(set: number, word: number): number {
    const bits = this.#bits;
    const at = set * this.#stride + word;
    const words = this.#words;
    return (bits[at + plane.sent * words]! | bits[at + plane.stored * words]! | bits[at + plane.slower * words]!) >>> 0;
  }

  /** Of those, the slots that have it nowhere but in a slower tier. */
  onlySlower(set: number, word: number): number {
    const bits = this.#bits;
    const at = set * this.#stride + word;
    const words = this.#words;
    return (
      (bits[at + plane.slower * words]! & ~(bits[at + plane.sent * words]! | bits[at + plane.stored * words]!)) >>> 0
    );
  }

  has(set: number, slot: number, which: number): boolean {
    return (this.#bits[set * this.#stride + which * this.#words + (slot >>> 5)]! & (1 << (slot & 31))) !== 0;
  }

  /** Whether nobody has it in any way. */
  isEmpty(set: number): boolean {
    if (set === emptySet) return true;
    for (let word = 0; word < this.#words; word++) if (this.held(set, word) !== 0) return false;
    return true;
  }

  /** Calls with every set that blocks have, and how many of them. */
  each(visit: (set: number, blocks: number) => void): void {
    for (let set = 1; set < this.#used; set++) if (this.#references[set]! > 0) visit(set, this.#references[set]!);
  }

  /** Makes room for slots up to `slot`; sets keep their ids. */
  widen(slot: number): void {
    if (slot < this.#words * 32) return;
    const [words, stride, bits] = [this.#words, this.#stride, this.#bits];
    this.#words = Math.ceil((slot + 1) / 32);
    this.#stride = this.#words * planes;
    this.#scratch = new Uint32Array(this.#stride);
    this.#bits = new Uint32Array(this.#capacity * this.#stride);
    for (let set = 1; set < this.#used; set++) {
      for (let which = 0; which < planes; which++) {
        const from = set * stride + which * words;
        this.#bits.set(bits.subarray(from, from + words), set * this.#stride + which * this.#words);
      }
    }
    this.#relink();
  }

  /** Takes `slot` out of the planes `removed` of every set. Sets that become alike stay apart, which does no harm. */
  removeSlot(slot: number, removed: number): void {
    this.#rewrite((set) => this.#clear(set, slot, removed));
  }

  /** Ends the slot's generation: what is young becomes old, what was old is gone. */
  turnGeneration(slot: number): void {
    const old = planeBit('sent') | planeBit('confirmed');
    this.#rewrite((set) => this.#clear(set, slot, this.has(set, slot, plane.young) ? planeBit('young') : old));
  }

  /** Clears bits of a set in place; whether that changed it. */
  #clear(set: number, slot: number, removed: number): boolean {
    let differs = false;
    for (let which = 0; which < planes; which++) {
      if (((removed >>> which) & 1) === 0 || !this.has(set, slot, which)) continue;
      this.#bits[set * this.#stride + which * this.#words + (slot >>> 5)]! &= ~(1 << (slot & 31));
      differs = true;
    }
    return differs;
  }

  #rewrite(change: (set: number) => boolean): void {
    let changed = false;
    for (let set = 1; set < this.#used; set++) if (this.#references[set]! > 0 && change(set)) changed = true;
    if (changed) this.#relink();
  }

  /** The set that the scratch holds. */
  #intern(): number {
    const scratch = this.#scratch;
    const hash = hashOf(scratch, 0, this.#stride);
    let isEmpty = true;
    for (let i = 0; i < this.#stride && isEmpty; i++) isEmpty = scratch[i] === 0;
    if (isEmpty) return emptySet;
    for (let link = this.#buckets[hash % this.#capacity]!; link !== 0; link = this.#next[link - 1]!) {
      if (this.#isScratch(link - 1)) return link - 1;
    }
    if (this.isFull) this.#grow();
    let set = this.#free;
    if (set === 0) set = this.#used++;
    else this.#free = this.#next[set]!;
    this.#bits.set(scratch, set * this.#stride);
    this.#references[set] = 0;
    this.#link(set, hash);
    this.#live += 1;
    return set;
  }

  #isScratch(set: number): boolean {
    const start = set * this.#stride;
    for (let i = 0; i < this.#stride; i++) if (this.#bits[start + i] !== this.#scratch[i]) return false;
    return true;
  }

  #link(set: number, hash: number): void {
    const bucket = hash % this.#capacity;
    this.#next[set] = this.#buckets[bucket]!;
    this.#buckets[bucket] = set + 1;
  }

  #unlink(set: number): void {
    const bucket = hashOf(this.#bits, set * this.#stride, this.#stride) % this.#capacity;
    let link = this.#buckets[bucket]!;
    if (link === set + 1) {
      this.#buckets[bucket] = this.#next[set]!;
      return;
    }
    while (this.#next[link - 1] !== set + 1) link = this.#next[link - 1]!;
    this.#next[link - 1] = this.#next[set]!;
  }

  /** Puts every set into its bucket anew, and the free ones into their list. */
  #relink(): void {
    this.#buckets.fill(0);
    this.#free = 0;
    for (let set = 1; set < this.#used; set++) {
      if (this.#references[set]! > 0) this.#link(set, hashOf(this.#bits, set * this.#stride, this.#stride));
      else {
        this.#next[set] = this.#free;
        this.#free = set;
      }
    }
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#bits = widened(this.#bits, this.#capacity * this.#stride);
    this.#references = widened(this.#references, this.#capacity);
    this.#next = new Uint32Array(this.#capacity);
    this.#buckets = new Uint32Array(this.#capacity);
    this.#relink();
  }
}

function widened(column: Uint32Array, length: number): Uint32Array {
  const wide = new Uint32Array(length);
  wide.set(column);
  return wide;
}

function hashOf(words: Uint32Array, start: number, length: number): number {
  let hash = 0x2c1b3c6d;
  for (let i = start; i < start + length; i++) {
    hash = Math.imul(hash ^ words[i]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

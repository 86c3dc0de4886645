/** Before what is asked for there is so much room: whoever sends it can put a head there and send both in one piece. */
export const headroomBytes = 4096;
const leastBytes = 4096;
const largestBytes = 2 * 1024 * 1024;
/** What is kept for whoever asks next; beyond it memory is let go. */
const keptBytes = 32 * 1024 * 1024;

/**
 * Memory for bodies, used again and again. Each body would else be an allocation outside the heap, and enough bytes of
 * those make the collector go through the whole heap: with long prompts that was a third of what a request cost.
 *
 * Whoever takes memory may forget it (the collector has it then) or give it back, but only once nobody can read it any
 * more; `keep` says of some that it never comes to that.
 */
class ByteSlabs {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #lent = new WeakSet<ArrayBuffer>();
  readonly #handedOver = new WeakSet<ArrayBuffer>();
  #freeBytes = 0;

  /** At least `length` bytes, with anything in them. */
  take(length: number): Buffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(length, leastBytes)));
    if (size > largestBytes) return Buffer.allocUnsafeSlow(length);
    let slab = this.#free.get(size)?.pop();
    if (slab === undefined) slab = new ArrayBuffer(headroomBytes + size);
    else this.#freeBytes -= size;
    this.#lent.add(slab);
    return Buffer.from(slab, headroomBytes, size);
  }

  /** Whether `bytes` are in memory from here, so that what stands before its beginning is whoever's who has it. */
  owns({ buffer }: Uint8Array): boolean {
    return this.#lent.has(buffer as ArrayBuffer);
  }

  /** They are read for longer than whoever took them knows. */
  keep({ buffer }: Uint8Array): void {
    this.#lent.delete(buffer as ArrayBuffer);
  }

  /** From whoever lent them to be looked at, and will give them back, to the caller, who does so as well: both have to. */
  handOver({ buffer }: Uint8Array): void {
    this.#handedOver.add(buffer as ArrayBuffer);
  }

  /** Nobody reads them any more. What is not from here, or was kept, stays the collector's. */
  giveBack({ buffer }: Uint8Array): void {
    const slab = buffer as ArrayBuffer;
    if (this.#handedOver.delete(slab) || !this.#lent.delete(slab)) return;
    const size = slab.byteLength - headroomBytes;
    if (this.#freeBytes + size > keptBytes) return;
    this.#freeBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [slab]);
    else free.push(slab);
  }
}

/** The process's only ones. */
export const byteSlabs = new ByteSlabs();

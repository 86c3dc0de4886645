/**
 * Reads MessagePack (github.com/msgpack/msgpack) value by value from a buffer, without making objects of it: whoever
 * knows the shape takes numbers, strings and lengths as they come and skips the rest. 64-bit integers keep all bits.
 */
export class MsgpackReader {
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** The two halves of what `hash` read last. */
  low = 0;
  high = 0;

  /** Begins at the start of `bytes`. */
  reset(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  get nextIsArray(): boolean {
    const tag = this.#peek();
    return (tag >= 0x90 && tag < 0xa0) || tag === 0xdc || tag === 0xdd;
  }

  get nextIsString(): boolean {
    const tag = this.#peek();
    return (tag >= 0xa0 && tag < 0xc0) || (tag >= 0xd9 && tag <= 0xdb);
  }

  /** Takes a nil if one is next. */
  takeNil(): boolean {
    if (this.#peek() !== 0xc0) return false;
    this.#at += 1;
    return true;
  }

  /** How many values follow. */
  arrayLength(): number {
    const tag = this.#byte();
    if (tag >= 0x90 && tag < 0xa0) return tag & 0x0f;
    if (tag === 0xdc) return this.#length(2, 1);
    if (tag === 0xdd) return this.#length(4, 1);
    throw this.#unexpected('an array', tag);
  }

  /** How many pairs follow. */
  mapLength(): number {
    const tag = this.#byte();
    if (tag >= 0x80 && tag < 0x90) return tag & 0x0f;
    if (tag === 0xde) return this.#length(2, 2);
    if (tag === 0xdf) return this.#length(4, 2);
    throw this.#unexpected('a map', tag);
  }

  /** A whole number from 0 to 2^32 − 1, as lengths and token ids are. */
  uint(): number {
    const tag = this.#byte();
    if (tag < 0x80) return tag;
    switch (tag) {
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
      case 0xd3:
        if (this.#unsigned(4) !== 0) break;
        return this.#unsigned(4);
      // signed ones that are not negative
      case 0xd0:
      case 0xd1:
      case 0xd2: {
        const size = 2 ** (tag - 0xd0);
        const value = this.#unsigned(size);
        if (value < 2 ** (8 * size - 1)) return value;
        break;
      }
    }
    throw this.#unexpected('a whole number below 2^32', tag);
  }

  /** 64 bits into `low` and `high`: an integer of any width, signed or not, or the last 8 bytes of a binary. */
  hash(): void {
    const tag = this.#byte();
    if (tag < 0x80 || tag >= 0xe0) return this.#setSigned(tag < 0x80 ? tag : tag - 256);
    switch (tag) {
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#setSigned(this.#unsigned(2 ** (tag - 0xcc)));
      case 0xcf:
      case 0xd3:
        this.high = this.#unsigned(4);
        this.low = this.#unsigned(4);
        return;
      case 0xd0:
        return this.#setSigned((this.#unsigned(1) << 24) >> 24);
      case 0xd1:
        return this.#setSigned((this.#unsigned(2) << 16) >> 16);
      case 0xd2:
        return this.#setSigned(this.#unsigned(4) | 0);
      case 0xc4:
      case 0xc5:
      case 0xc6: {
        const length = this.#length(2 ** (tag - 0xc4), 1);
        if (length < 8) throw this.#unexpected('a hash of 8 bytes or more', tag);
        this.#at += length - 8;
        this.high = this.#unsigned(4);
        this.low = this.#unsigned(4);
        return;
      }
    }
    throw this.#unexpected('a hash', tag);
  }

  string(): string {
    const length = this.#stringLength();
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  /** A short string as a number that tells it from others (FNV-1a), so that keys need no string objects. */
  keyHash(): number {
    const end = this.#stringLength() + this.#at;
    let hash = 0x811c9dc5;
    for (; this.#at < end; this.#at++) hash = Math.imul(hash ^ this.#bytes[this.#at]!, 0x01000193);
    return hash >>> 0;
  }

  /** Passes over a value of any kind. */
  skip(): void {
    let values = 1;
    while (values > 0) {
      values -= 1;
      const tag = this.#byte();
      if (tag < 0x80 || tag >= 0xe0 || tag === 0xc0 || tag === 0xc2 || tag === 0xc3) continue;
      if (tag < 0x90) values += 2 * (tag & 0x0f);
      else if (tag < 0xa0) values += tag & 0x0f;
      else if (tag < 0xc0) this.#pass(tag & 0x1f);
      else if (tag >= 0xc4 && tag <= 0xc6) this.#pass(this.#length(2 ** (tag - 0xc4), 1));
      else if (tag >= 0xc7 && tag <= 0xc9) this.#pass(1 + this.#length(2 ** (tag - 0xc7), 1));
      else if (tag >= 0xca && tag <= 0xd3) this.#pass(sizes[tag - 0xca]!);
      else if (tag >= 0xd4 && tag <= 0xd8) this.#pass(1 + 2 ** (tag - 0xd4));
      else if (tag >= 0xd9 && tag <= 0xdb) this.#pass(this.#length(2 ** (tag - 0xd9), 1));
      else if (tag === 0xdc || tag === 0xdd) values += this.#length(tag === 0xdc ? 2 : 4, 1);
      else if (tag === 0xde || tag === 0xdf) values += 2 * this.#length(tag === 0xde ? 2 : 4, 2);
      else throw this.#unexpected('a value', tag);
    }
  }

  #setSigned(value: number): void {
    this.low = value >>> 0;
    this.high = value < 0 ? 0xffffffff : 0;
  }

  #stringLength(): number {
    const tag = this.#byte();
    let length: number;
    if (tag >= 0xa0 && tag < 0xc0) length = tag & 0x1f;
    else if (tag >= 0xd9 && tag <= 0xdb) length = this.#length(2 ** (tag - 0xd9), 1);
    else throw this.#unexpected('a string', tag);
    if (this.#at + length > this.#bytes.length) throw new MsgpackError('ends in the middle of a string');
    return length;
  }

  /** A length of `size` bytes; one for which too few bytes are left is refused before anything is made of it. */
  #length(size: number, bytesEach: number): number {
    const length = this.#unsigned(size);
    if (length * bytesEach > this.#bytes.length - this.#at) throw new MsgpackError('a length beyond the end');
    return length;
  }

  #unsigned(size: number): number {
    const at = this.#at;
    this.#pass(size);
    if (size === 1) return this.#bytes[at]!;
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #pass(bytes: number): void {
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new MsgpackError('ends in the middle of a value');
  }

  #peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  #byte(): number {
    this.#pass(1);
    return this.#bytes[this.#at - 1]!;
  }

  #unexpected(expected: string, tag: number): MsgpackError {
    return new MsgpackError(`expected ${expected}, found tag 0x${tag.toString(16)} at byte ${this.#at - 1}`);
  }
}

/** float32, float64, then unsigned and signed integers of 1, 2, 4 and 8 bytes. */
const sizes = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8];

/** What was to be read is not there. */
export class MsgpackError extends Error {}

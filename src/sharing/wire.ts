import type { BlockHashes } from '../base/block-hash.ts';

/**
 * Numbers, names and block hashes, one after another in bytes: little-endian, a number as a double, a length in four
 * bytes. A name stands where it comes first and is a number from there on.
 */
export class WireWriter {
  #bytes = Buffer.allocUnsafeSlow(2048);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #names = new Map<string, number>();

  byte(value: number): void {
    this.#room(1);
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
  }

  length(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  number(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value);
    this.length(bytes);
    this.#room(bytes);
    this.#at += this.#bytes.write(value, this.#at);
  }

  name(value: string): void {
    const known = this.#names.get(value);
    this.length(known ?? this.#names.size);
    if (known !== undefined) return;
    this.#names.set(value, this.#names.size);
    this.text(value);
  }

  list<Item>(items: readonly Item[], write: (item: Item) => void): void {
    this.length(items.length);
    for (const item of items) write(item);
  }

  /** Several one after another, to be read as one. */
  hashes(runs: readonly BlockHashes[]): void {
    const count = runs.reduce((sum, { low }) => sum + low.length, 0);
    this.length(count);
    this.#room(8 * count);
    for (const { low } of runs) this.#words(low);
    for (const { high } of runs) this.#words(high);
  }

  /** What was written. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #words(words: Uint32Array): void {
    this.#bytes.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), this.#at);
    this.#at += words.byteLength;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafeSlow(2 * (this.#at + bytes));
    wider.set(this.take());
    this.#bytes = wider;
    this.#view = new DataView(wider.buffer);
  }
}

/** Reads what a `WireWriter` has written. Everything throws a RangeError where it is cut short or is not what was asked for. */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #at = 0;
  readonly #names: string[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  byte(): number {
    return this.#view.getUint8(this.#passing(1));
  }

  length(): number {
    return this.#view.getUint32(this.#passing(4), true);
  }

  /** Any that is not NaN or endless. */
  number(): number {
    const value = this.#view.getFloat64(this.#passing(8), true);
    if (!Number.isFinite(value)) throw new RangeError('no number where one should be');
    return value;
  }

  /** One that is not negative. */
  count(): number {
    const value = this.number();
    if (value < 0) throw new RangeError('a negative number of something');
    return value;
  }

  /** One of a list, by its place. */
  oneOf<Item>(items: readonly Item[]): Item {
    const item = items[this.byte()];
    if (item === undefined) throw new RangeError('something that is not known here');
    return item;
  }

  text(): string {
    const bytes = this.length();
    const from = this.#passing(bytes);
    return this.#bytes.toString('utf8', from, from + bytes);
  }

  name(): string {
    const number = this.length();
    if (number === this.#names.length) this.#names.push(this.text());
    const name = this.#names[number];
    if (name === undefined) throw new RangeError('a name that was never told');
    return name;
  }

  list<Item>(read: (from: this) => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.length(); left > 0; left--) items.push(read(this));
    return items;
  }

  hashes(): BlockHashes {
    const count = this.length();
    const from = this.#passing(8 * count);
    // Words have to stand where words do.
    const { buffer } = new Uint8Array(this.#bytes.subarray(from, from + 8 * count));
    return { low: new Uint32Array(buffer, 0, count), high: new Uint32Array(buffer, 4 * count, count) };
  }

  /** Where to read, once it is known that there is so much. */
  #passing(bytes: number): number {
    const from = this.#at;
    if (from + bytes > this.#view.byteLength) throw new RangeError('cut short');
    this.#at += bytes;
    return from;
  }
}

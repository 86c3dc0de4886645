/**
 * Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding/), as far as the messages here need it:
 * varints below 2^53, doubles, and length-delimited fields. What is not asked for is skipped.
 */

/** Wire types, the low three bits of a field's tag. */
const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;

export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/**
 * Goes over the fields of a message, one at a time. A cursor and no tree: most of what the data plane sends is of no
 * interest, and a reader may be moved on to another part of the same bytes.
 */
export class FieldReader {
  /** Of the field that `next` came to. */
  number = 0;
  /** Of a varint or a double. */
  value = 0;
  /** Where a length-delimited field's content begins and ends; both the same otherwise. */
  start = 0;
  end = 0;
  readonly bytes: Buffer;
  #at: number;
  #limit: number;

  constructor(bytes: Buffer, from = 0, to = bytes.length) {
    this.bytes = bytes;
    this.#at = from;
    this.#limit = to;
  }

  /** Goes on with the message in another part of the bytes, for a reader of many small ones. */
  moveTo(from: number, to: number): this {
    this.#at = from;
    this.#limit = to;
    return this;
  }

  /** A reader of the field's content. */
  inside(): FieldReader {
    return new FieldReader(this.bytes, this.start, this.end);
  }

  /** The field's content. A view: it lives as long as the message. */
  content(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  text(): string {
    return this.bytes.toString('utf8', this.start, this.end);
  }

  latin1(): string {
    return this.bytes.toString('latin1', this.start, this.end);
  }

  /** False when there is no further field. @throws MalformedMessage */
  next(): boolean {
    if (this.#at >= this.#limit) return false;
    const tag = this.#varint();
    this.number = Math.floor(tag / 8);
    if (this.number === 0) throw new MalformedMessage('a field has the number 0');
    this.value = 0;
    this.start = this.end = this.#at;
    switch (tag % 8) {
      case varint:
        this.value = this.#varint();
        break;
      case fixed64:
        this.#skip(8);
        this.value = this.bytes.readDoubleLE(this.#at - 8);
        break;
      case delimited: {
        const length = this.#varint();
        this.start = this.#at;
        this.#skip(length);
        this.end = this.#at;
        break;
      }
      case fixed32:
        this.#skip(4);
        break;
      default:
        throw new MalformedMessage(`field ${this.number} has the unknown wire type ${tag % 8}`);
    }
    return true;
  }

  #skip(length: number): void {
    this.#at += length;
    if (this.#at > this.#limit) throw new MalformedMessage('the message ends within a field');
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      if (this.#at >= this.#limit) throw new MalformedMessage('the message ends within a number');
      const byte = this.bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new MalformedMessage('a number is too long');
  }
}

/** A length written before it is known: a varint of four bytes, which may have more of them than it needs. */
const lengthBytes = 4;

/**
 * Writes messages one after another into bytes of its own, from the outside to the inside. One at a time: `begin`, the
 * fields, `finish`.
 */
export class MessageWriter {
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #at = 0;

  /** Begins, leaving room for `reserved` bytes before the message. */
  begin(reserved = 0): void {
    this.#at = reserved;
  }

  /** Begins a field that is a message; gives where, for `close`. */
  open(number: number): number {
    this.#room(5 + lengthBytes);
    this.#varint(number * 8 + delimited);
    this.#at += lengthBytes;
    return this.#at;
  }

  /** Ends the message that was opened; `following` bytes that are written elsewhere come after it and belong to it. */
  close(opened: number, following = 0): void {
    let length = this.#at - opened + following;
    for (let at = opened - lengthBytes; at < opened - 1; at++) {
      this.#bytes[at] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    this.#bytes[opened - 1] = length;
  }

  /** A number (enum, bool, unsigned integer). 0 is the default and is left out. */
  number(number: number, value: number): void {
    if (value === 0) return;
    this.#room(15);
    this.#varint(number * 8 + varint);
    this.#varint(value);
  }

  text(number: number, text: string): void {
    this.#content(number, text, Buffer.byteLength(text), 'utf8');
  }

  /** A text of which each character is a byte. */
  latin1(number: number, text: string): void {
    this.#content(number, text, text.length, 'latin1');
  }

  /** A field whose content is written elsewhere, after all that is written here. */
  contentHead(number: number, length: number): void {
    this.#room(10);
    this.#varint(number * 8 + delimited);
    this.#varint(length);
  }

  /** What was written, there until the next message is begun; what is in the reserved bytes is the caller's to say. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #content(number: number, text: string, length: number, encoding: 'utf8' | 'latin1'): void {
    this.contentHead(number, length);
    this.#room(length);
    this.#at += this.#bytes.write(text, this.#at, encoding);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at++] = rest;
  }

  #room(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#at + length));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

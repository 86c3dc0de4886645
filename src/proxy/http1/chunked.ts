import { BadMessage } from './head.ts';

const cr = 0x0d;
const lf = 0x0a;
/** Chunks beyond it are somebody's attack. */
const largestChunkBytes = 2 ** 40;
const maxTrailerBytes = 8 * 1024;

const size = 0;
const sizeLf = 1;
const data = 2;
const dataCr = 3;
const dataLf = 4;
const trailer = 5;
const trailerLf = 6;
const lastLf = 7;
const over = 8;

/**
 * Takes a chunked body (RFC 9112 section 7.1) out of its frame. Strict: chunk extensions are refused, and trailers are
 * thrown away.
 */
export class ChunkedDecoder {
  #state = size;
  /** What is left of the chunk, or its size so far. */
  #left = 0;
  #digits = 0;
  #trailerBytes = 0;
  #lineBytes = 0;

  get isOver(): boolean {
    return this.#state === over;
  }

  /**
   * Moves the body's bytes in `bytes`, from `start` on, together to where the first of them stands, and returns where that
   * is and where they end; `rest` is where what follows the body begins, the end when it goes on.
   * @throws BadMessage
   */
  decode(bytes: Buffer, start: number): { from: number; to: number; rest: number } {
    let from = -1;
    let to = 0;
    let at = start;
    const { length } = bytes;
    while (at < length && this.#state !== over) {
      if (this.#state === data) {
        const taken = Math.min(this.#left, length - at);
        if (from < 0) {
          from = at;
          to = at + taken;
        } else {
          bytes.copyWithin(to, at, at + taken);
          to += taken;
        }
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#state = dataCr;
        continue;
      }
      this.#step(bytes[at++]!);
    }
    return from < 0 ? { from: at, to: at, rest: at } : { from, to, rest: at };
  }

  #step(byte: number): void {
    switch (this.#state) {
      case size:
        this.#sizeByte(byte);
        return;
      case sizeLf:
        expect(byte, lf);
        this.#state = this.#left === 0 ? trailer : data;
        this.#lineBytes = 0;
        return;
      case dataCr:
        expect(byte, cr);
        this.#state = dataLf;
        return;
      case dataLf:
        expect(byte, lf);
        this.#state = size;
        this.#digits = 0;
        return;
      case trailer:
        this.#trailerByte(byte);
        return;
      case trailerLf:
        expect(byte, lf);
        this.#state = trailer;
        this.#lineBytes = 0;
        return;
      default:
        expect(byte, lf);
        this.#state = over;
    }
  }

  #sizeByte(byte: number): void {
    if (byte === cr && this.#digits > 0) {
      this.#state = sizeLf;
      return;
    }
    const digit = hexDigit(byte);
    if (digit < 0) throw new BadMessage('a chunk of its body has no proper size');
    this.#left = (this.#digits++ === 0 ? 0 : this.#left * 16) + digit;
    if (this.#left > largestChunkBytes || this.#digits > 16) throw new BadMessage('a chunk of its body is too large');
  }

  #trailerByte(byte: number): void {
    if (byte === cr) {
      this.#state = this.#lineBytes === 0 ? lastLf : trailerLf;
      return;
    }
    if (byte === lf || byte === 0) throw new BadMessage('its trailer is malformed');
    this.#lineBytes++;
    if (++this.#trailerBytes > maxTrailerBytes) throw new BadMessage('its trailer is too large', 431);
  }
}

function expect(byte: number, wanted: number): void {
  if (byte !== wanted) throw new BadMessage('a chunk of its body is malformed');
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

import { hashText } from '../../base/text-hash.ts';

/** Encodes text from a position on; `boundary` is told where words begin, and how many ids there were before each. */
interface ResumableTokenizer {
  encodeFrom(text: string, from: number, boundary: (at: number, count: number) => void): number[];
}

interface Piece {
  /** A word begins there, and what precedes it is the same in whatever text begins alike. */
  readonly end: number;
  readonly ids: Uint32Array;
}

const pieceChars = 1024;
/** How much of what follows a word can have a say in where it ends: more than the longest special token. */
const marginChars = 64;
const pieceOverheadBytes = 120;

/**
 * Remembers the ids of texts by their beginnings, so that a conversation's next turn costs only what is new. Texts are
 * known by chained hashes of stretches of them; bounded in bytes, what was used longest ago goes first.
 */
export class TextMemo {
  readonly #tokenizer: ResumableTokenizer;
  readonly #limitBytes: number;
  readonly #seed: number;
  readonly #pieces = new Map<number, Piece>();
  #bytes = 0;

  constructor(tokenizer: ResumableTokenizer, seed: number, limitBytes = 64 * 1024 * 1024) {
    this.#tokenizer = tokenizer;
    this.#seed = seed;
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  encode(text: string): Uint32Array {
    const known: Uint32Array[] = [];
    let from = 0;
    let count = 0;
    let key = this.#seed;
    let at = 0;
    for (; at + pieceChars <= text.length; at += pieceChars) {
      const next = chained(key, text, at);
      const piece = this.#pieces.get(next);
      if (piece === undefined) break;
      // Used again: to the end of the order in which they go.
      this.#pieces.delete(next);
      this.#pieces.set(next, piece);
      known.push(piece.ids);
      count += piece.ids.length;
      from = piece.end;
      key = next;
    }
    // Where each stretch that is new can be taken up again, by how many ids come before.
    const ends: { end: number; count: number }[] = [];
    let limit = at + pieceChars - marginChars;
    let last = { end: from, count: 0 };
    const fresh = this.#tokenizer.encodeFrom(text, from, (start, before) => {
      while (start > limit) {
        ends.push(last);
        limit += pieceChars;
      }
      last = { end: start, count: before };
    });
    while (limit + marginChars <= text.length) {
      ends.push(last);
      limit += pieceChars;
    }
    const ids = new Uint32Array(count + fresh.length);
    let offset = 0;
    for (const part of known) {
      ids.set(part, offset);
      offset += part.length;
    }
    ids.set(fresh, offset);
    let done = 0;
    for (const { end, count: before } of ends) {
      if (at + pieceChars > text.length) break;
      key = chained(key, text, at);
      this.#remember(key, { end, ids: ids.slice(count + done, count + before) });
      done = before;
      at += pieceChars;
    }
    return ids;
  }

  #remember(key: number, piece: Piece): void {
    if (this.#pieces.has(key)) return;
    this.#pieces.set(key, piece);
    this.#bytes += piece.ids.byteLength + pieceOverheadBytes;
    for (const [oldest, { ids }] of this.#pieces) {
      if (this.#bytes <= this.#limitBytes) return;
      this.#pieces.delete(oldest);
      this.#bytes -= ids.byteLength + pieceOverheadBytes;
    }
  }
}

/** 53 bits of all of the text up to the end of the stretch at `at`. */
function chained(before: number, text: string, at: number): number {
  const stretch = text.slice(at, at + pieceChars);
  const low = hashText(stretch, before | 0);
  const high = hashText(stretch, (Math.floor(before / 2 ** 32) ^ 0x5bd1e995) | 0);
  return (high % 2 ** 21) * 2 ** 32 + low;
}

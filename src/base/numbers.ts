/**
 * Columns of numbers for records that are made by the thousand. A typed array of more than 64 bytes costs an allocation
 * of its own outside the heap, some microseconds with what the collector does about it; a view of a large piece costs
 * next to nothing. A piece is let go with the last of its columns: those that are kept are not beside those that pass.
 */
/** What a Decision keeps of 256 endpoints, 38 KB, has room in it several times. */
const pieceBytes = 256 * 1024;
const wordBytes = 8;

class Pieces {
  #piece = new ArrayBuffer(pieceBytes);
  #usedBytes = 0;

  get latest(): ArrayBuffer {
    return this.#piece;
  }

  /** Where in the latest piece so many bytes are free: a new one where the last has too little left. */
  take(bytes: number): number {
    if (this.#usedBytes + bytes > pieceBytes) {
      this.#piece = new ArrayBuffer(pieceBytes);
      this.#usedBytes = 0;
    }
    const at = this.#usedBytes;
    this.#usedBytes += Math.ceil(bytes / wordBytes) * wordBytes;
    return at;
  }
}

/** What is kept for long, as records are. */
const kept = new Pieces();
/** What is over with the request that it is made for. */
const passing = new Pieces();

function numbersIn(pieces: Pieces, length: number): Float64Array {
  const bytes = length * Float64Array.BYTES_PER_ELEMENT;
  if (bytes > pieceBytes / 4) return new Float64Array(length);
  const at = pieces.take(bytes);
  return new Float64Array(pieces.latest, at, length);
}

/** `length` zeros, to be kept. */
export function numbers(length: number): Float64Array {
  return numbersIn(kept, length);
}

/** `length` zeros for a while. */
export function passingNumbers(length: number): Float64Array {
  return numbersIn(passing, length);
}

/** `length` zeros of 32 bits, to be kept. */
export function wholeNumbers(length: number): Int32Array {
  const bytes = length * Int32Array.BYTES_PER_ELEMENT;
  if (bytes > pieceBytes / 4) return new Int32Array(length);
  const at = kept.take(bytes);
  return new Int32Array(kept.latest, at, length);
}

/** `length` zeros of 32 bits without a sign, for a while. */
export function passingUnsignedNumbers(length: number): Uint32Array {
  const bytes = length * Uint32Array.BYTES_PER_ELEMENT;
  if (bytes > pieceBytes / 4) return new Uint32Array(length);
  const at = passing.take(bytes);
  return new Uint32Array(passing.latest, at, length);
}

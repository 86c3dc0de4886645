/**
 * Columns of numbers for records that are made by the thousand. A typed array of more than 64 bytes costs an allocation
 * of its own outside the heap, some microseconds with what the collector does about it; a view of a large piece costs
 * next to nothing. A piece is let go with the last of its columns.
 */
const pieceBytes = 64 * 1024;
const wordBytes = 8;

let piece = new ArrayBuffer(pieceBytes);
let usedBytes = 0;

/** Where in the piece so many bytes are free; a new piece where the last has too little left. */
function take(bytes: number): number {
  if (usedBytes + bytes > pieceBytes) {
    piece = new ArrayBuffer(pieceBytes);
    usedBytes = 0;
  }
  const at = usedBytes;
  usedBytes += Math.ceil(bytes / wordBytes) * wordBytes;
  return at;
}

/** `length` zeros. */
export function numbers(length: number): Float64Array {
  const bytes = length * Float64Array.BYTES_PER_ELEMENT;
  if (bytes > pieceBytes / 4) return new Float64Array(length);
  const at = take(bytes);
  return new Float64Array(piece, at, length);
}

/** `length` zeros of 32 bits. */
export function wholeNumbers(length: number): Int32Array {
  const bytes = length * Int32Array.BYTES_PER_ELEMENT;
  if (bytes > pieceBytes / 4) return new Int32Array(length);
  const at = take(bytes);
  return new Int32Array(piece, at, length);
}

/** `length` zeros of 32 bits without a sign. */
export function unsignedNumbers(length: number): Uint32Array {
  const bytes = length * Uint32Array.BYTES_PER_ELEMENT;
  if (bytes > pieceBytes / 4) return new Uint32Array(length);
  const at = take(bytes);
  return new Uint32Array(piece, at, length);
}

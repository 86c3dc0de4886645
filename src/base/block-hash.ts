import { passingUnsignedNumbers } from './numbers.ts';

/**
 * Chained 64-bit hashes over the blocks of a prompt, as two 32-bit halves (JavaScript has no fast 64-bit integers).
 * Block i's hash covers blocks 0..i, so equal hashes mean equal prefixes. Not cryptographic: the secret seed keeps
 * outsiders from guessing collisions. Rounds after Yann Collet's xxHash, finish after Austin Appleby's MurmurHash3.
 */
export const blockBytes = 64;

/** A position in a chain: where the next block's hash starts from. */
export interface ChainState {
  readonly low: number;
  readonly high: number;
}

export interface BlockHashes {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Where bytes are copied that do not stand where words do; what is made of them is made before the next are. */
let copy = new Uint8Array(16 * 1024);

function copied(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength > copy.length) copy = new Uint8Array(2 * bytes.byteLength);
  copy.set(bytes);
  return copy.subarray(0, bytes.byteLength);
}

/**
 * Words of `bytes` in place when aligned, of a copy when not, which is there until the next is made; a trailing partial
 * word is left out.
 */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = (bytes.byteOffset & 3) === 0 ? bytes : copied(bytes);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2);
  if (littleEndian) return words;
  const view = new DataView(aligned.buffer, aligned.byteOffset);
  return Uint32Array.from(words, (_, index) => view.getUint32(index * 4, true));
}

const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;

function finalMix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/**
 * Hashes of all whole blocks of `bytes`; a trailing partial block has none. `bytesPerBlock` is a multiple of 4. What a block
 * holds beside them counts as a number in `extra`.
 */
export function hashBlocks(
  bytes: Uint8Array,
  start: ChainState,
  bytesPerBlock = blockBytes,
  extra?: Uint32Array,
): BlockHashes {
  const count = Math.floor(bytes.byteLength / bytesPerBlock);
  const hashes = { low: passingUnsignedNumbers(count), high: passingUnsignedNumbers(count) };
  hashWords(wordsOf(bytes), bytesPerBlock >>> 2, count, start, hashes, extra);
  return hashes;
}

/**
 * Hashes of the first `count` blocks of `words`, into `hashes`. What a block holds beside its words counts as a number
 * in `extra`, 0 for nothing. Four lanes take a word each in turn, so that a processor can work on them side by side;
 * both halves of a hash are made of all four.
 */
export function hashWords(
  words: Uint32Array,
  blockWords: number,
  count: number,
  start: ChainState,
  { low, high }: BlockHashes,
  extra?: Uint32Array,
): void {
  let first = start.low | 0;
  let second = start.high | 0;
  for (let block = 0, at = 0; block < count; block++) {
    const end = at + blockWords;
    let a = (first + prime1) | 0;
    let b = second ^ prime2;
    let c = Math.imul(first, prime2) ^ second;
    let d = (Math.imul(second, prime1) + first) | 0;
    if (extra !== undefined) c ^= extra[block]!;
    for (; at + 4 <= end; at += 4) {
      a = Math.imul(rotated(a + Math.imul(words[at]!, prime2), 13), prime1);
      b = Math.imul(rotated(b + Math.imul(words[at + 1]!, prime2), 13), prime1);
      c = Math.imul(rotated(c + Math.imul(words[at + 2]!, prime2), 13), prime1);
      d = Math.imul(rotated(d + Math.imul(words[at + 3]!, prime2), 13), prime1);
    }
    for (; at < end; at++) a = Math.imul(rotated(a + Math.imul(words[at]!, prime2), 13), prime1);
    first = finalMix(rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18));
    second = finalMix(Math.imul(a ^ rotated(c, 9), prime2) ^ Math.imul(b + rotated(d, 21), prime1));
    low[block] = first;
    high[block] = second;
  }
}

/** A chain's start that depends on `text`: chains of different models, salts or seeds share no hash. */
export function chainStart(text: string, seed: ChainState): ChainState {
  const bytes = Buffer.alloc(Math.ceil((Buffer.byteLength(text) + 1) / blockBytes) * blockBytes);
  bytes.write(text);
  const { low, high } = hashBlocks(bytes, seed);
  return { low: low.at(-1)!, high: high.at(-1)! };
}

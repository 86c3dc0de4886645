/**
 * Chained 64-bit hashes over the 64-byte blocks of a prompt, as two 32-bit lanes (JavaScript has no fast 64-bit integers).
 * Block i's hash covers blocks 0..i, so equal hashes mean equal prefixes. Not cryptographic: the secret seed keeps
 * outsiders from guessing collisions. Mixing after Austin Appleby's public-domain MurmurHash3.
 */
export const blockBytes = 64;
const blockWords = blockBytes / 4;

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

/** Words of `bytes` in place when aligned, of a copy when not; a trailing partial word is left out. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = (bytes.byteOffset & 3) === 0 ? bytes : Uint8Array.from(bytes);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2);
  if (littleEndian) return words;
  const view = new DataView(aligned.buffer, aligned.byteOffset);
  return Uint32Array.from(words, (_, index) => view.getUint32(index * 4, true));
}

function finalMix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Hashes of all whole blocks of `bytes`; a trailing partial block has none. */
export function hashBlocks(bytes: Uint8Array, start: ChainState): BlockHashes {
  const words = wordsOf(bytes);
  const count = Math.floor(bytes.byteLength / blockBytes);
  const low = new Uint32Array(count);
  const high = new Uint32Array(count);
  let a = start.low | 0;
  let b = start.high | 0;
  for (let block = 0, at = 0; block < count; block++) {
    for (const end = at + blockWords; at < end; at++) {
      const word = words[at]!;
      a = Math.imul(a ^ word, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul((b ^ word) + 0x7f4a7c15, 0xcc9e2d51);
      b = (b << 13) | (b >>> 19);
    }
    a = finalMix(a + b);
    b = finalMix(b ^ (a << 7));
    low[block] = a;
    high[block] = b;
  }
  return { low, high };
}

/** A chain's start that depends on `text`: chains of different models, salts or seeds share no hash. */
export function chainStart(text: string, seed: ChainState): ChainState {
  const bytes = Buffer.alloc(Math.ceil((Buffer.byteLength(text) + 1) / blockBytes) * blockBytes);
  bytes.write(text);
  const { low, high } = hashBlocks(bytes, seed);
  return { low: low.at(-1)!, high: high.at(-1)! };
}

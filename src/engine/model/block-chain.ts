/**
 * Chained hashes of token blocks as whole numbers below 2^53, the widest that a `Float64Array` and a `Map` key hold.
 * Equal hashes mean equal prefixes (one chance in 10^15 a pair). 0 stands for "no hash" and never comes out.
 * Two 32-bit lanes mixed as in Austin Appleby's public-domain MurmurHash3; not cryptographic.
 */
const highSpan = 2 ** 21;

/** Hash of tokens `[start, end)` that follow a prefix with hash `parent` (0 or a salt for the first block). */
export function chainBlock(parent: number, tokens: ArrayLike<number>, start: number, end: number): number {
  let low = parent | 0;
  let high = Math.floor(parent / 4294967296) ^ 0x2c1b3c6d;
  for (let at = start; at < end; at++) {
    const token = tokens[at]!;
    low = Math.imul(low ^ token, 0x9e3779b1);
    low ^= low >>> 15;
    high = Math.imul((high ^ token) + 0x7f4a7c15, 0xcc9e2d51);
    high = (high << 13) | (high >>> 19);
  }
  const a = finalMix(low + high) >>> 0;
  const b = finalMix(high ^ (low << 7)) >>> 11;
  return (b % highSpan) * 4294967296 + a || 1;
}

/** Hashes of all whole blocks of `tokens`. */
export function chainBlocks(tokens: ArrayLike<number>, blockSize: number, salt = 0): Float64Array {
  const hashes = new Float64Array(Math.floor(tokens.length / blockSize));
  let parent = salt;
  for (let block = 0; block < hashes.length; block++) {
    parent = chainBlock(parent, tokens, block * blockSize, (block + 1) * blockSize);
    hashes[block] = parent;
  }
  return hashes;
}

function finalMix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

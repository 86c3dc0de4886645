import { blockBytes } from '../base/block-hash.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import { blockIds } from '../traffic/trace/trace.ts';
import type { TraceTurn } from '../traffic/trace/trace.ts';

/**
 * Hashes of a turn's whole prompt blocks. A trace's block ids are hashes already: equal ids are equal prefixes.
 * One is added, since to the engine 0 is "no hash"; blocks that the trace does not cover match nothing.
 */
export function blockHashesOf(turn: TraceTurn, blockTokens: number): Float64Array {
  const hashes = new Float64Array(Math.floor(turn.promptTokens / blockTokens));
  let at = 0;
  for (const id of blockIds(turn.blocks)) {
    if (at === hashes.length) break;
    hashes[at++] = id + 1;
  }
  return hashes;
}

/** The same as the router's prefix index takes it, whose blocks are stretches of text: `blockTokens` become one of them. */
export function prefixKeyOfBlocks(hashes: Float64Array, promptTokens: number, blockTokens: number): PrefixKey {
  const known = hashes.indexOf(0) < 0 ? hashes.length : hashes.indexOf(0);
  const low = new Uint32Array(known);
  const high = new Uint32Array(known);
  for (let at = 0; at < known; at++) {
    low[at] = hashes[at]! % 2 ** 32;
    high[at] = hashes[at]! / 2 ** 32;
  }
  return { hashes: { low, high }, promptBytes: (promptTokens / blockTokens) * blockBytes };
}

/** The blocks' hashes again, from a key of them. */
export function blocksOfPrefixKey({ hashes: { low, high } }: PrefixKey): Float64Array {
  return Float64Array.from(low, (bits, at) => high[at]! * 2 ** 32 + bits);
}

/** An image or the like in a prompt: where its placeholder tokens stand, and what tells it from others. */
export interface MediaSpan {
  /** As the engine calls it in its events. */
  readonly identifier: string;
  /** First placeholder token in the prompt, and how many there are. */
  readonly offset: number;
  readonly length: number;
}

/** A text as a number that tells it from others, as `MsgpackReader.keyHash` has it (FNV-1a). */
export function textNumber(text: string): number {
  const bytes = Buffer.from(text);
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** What a block holds beside tokens, one thing more; never 0, which is nothing. */
export function withExtra(extra: number, value: number): number {
  const next = Math.imul(extra ^ value, 0x9e3779b1);
  return (next ^ (next >>> 15)) >>> 0 || 1;
}

/** A signed 64-bit number in its two halves, as it counts in `withExtra`. */
export function halvesNumber(low: number, high: number): number {
  return low + Math.imul(high, 31);
}

/**
 * What each of `count` blocks holds beside its tokens, the same number that the engine's events come to: of every item that
 * touches a block, its identifier, and where it begins counted from the block's first token (vLLM's extra keys).
 */
export function extraOfMedia(media: readonly MediaSpan[], count: number, blockTokens: number): Uint32Array {
  const extra = new Uint32Array(count);
  for (const { identifier, offset, length } of media) {
    const item = textNumber(identifier);
    const last = Math.min(count - 1, Math.floor((offset + length - 1) / blockTokens));
    for (let block = Math.floor(offset / blockTokens); block <= last; block++) {
      const from = offset - block * blockTokens;
      extra[block] = withExtra(withExtra(extra[block]!, item), halvesNumber(from >>> 0, from < 0 ? 0xffffffff : 0));
    }
  }
  return extra;
}

import { wholeNumbers } from '../../base/numbers.ts';
import type { PrefixBlocks } from '../../scheduler/decision.ts';
import { blockBytes, chainStart, hashBlocks, type BlockHashes, type ChainState } from '../../base/block-hash.ts';
import { extraOfMedia, type MediaSpan } from './extra-keys.ts';

/** What of a prompt is looked up: the chained hashes of its blocks. No text. */
export interface PrefixKey {
  readonly hashes: BlockHashes;
  /** Length of the hashed prompt in bytes, its partial last block included. */
  readonly promptBytes: number;
  /** The same in blocks of any size, where the prompt's token ids are known. */
  readonly tokens?: TokenChains;
}

/** Tokens of a block where an endpoint's own block size is not known: as many as `blockBytes` hold. */
export const usualBlockTokens = blockBytes / 4;

/** A prompt as its engine will have it. */
export interface PromptIds {
  /** Token ids, four bytes each, little-endian. */
  readonly bytes: Uint8Array;
  /** What some of them are placeholders of, in order. */
  readonly media: readonly MediaSpan[];
}

export function tokenCount({ bytes }: PromptIds): number {
  return bytes.byteLength >>> 2;
}

/** The hashes of a prompt's tokens, in whole blocks of each size that is asked for. */
export class TokenChains {
  readonly count: number;
  readonly #prompt: PromptIds;
  readonly #start: ChainState;
  readonly #bySize = new Map<number, BlockHashes>();

  constructor(prompt: PromptIds, start: ChainState) {
    this.count = tokenCount(prompt);
    this.#prompt = prompt;
    this.#start = start;
  }

  inBlocksOf(tokens: number): BlockHashes {
    let hashes = this.#bySize.get(tokens);
    if (hashes === undefined) {
      const { bytes, media } = this.#prompt;
      const extra = media.length === 0 ? undefined : extraOfMedia(media, Math.floor(this.count / tokens), tokens);
      hashes = hashBlocks(bytes, this.#start, tokens * 4, extra);
      this.#bySize.set(tokens, hashes);
    }
    return hashes;
  }
}

interface KeyedPrompt {
  readonly model: string;
  readonly cacheSalt: string | null;
  readonly bytes: Uint8Array;
}

/** The key of a prompt's text, or of whatever stands for it. */
export function prefixKeyOf(prompt: KeyedPrompt, seed: ChainState): PrefixKey {
  return { hashes: hashBlocks(prompt.bytes, promptStart(prompt, seed)), promptBytes: prompt.bytes.byteLength };
}

/** The key of a prompt's token ids. Endpoints serve one model each, but adapters of it beside it. */
export function tokenKeyOf(
  prompt: PromptIds,
  lora: string | null,
  cacheSalt: string | null,
  seed: ChainState,
): PrefixKey {
  const tokens = new TokenChains(prompt, tokensStart(lora, cacheSalt, seed));
  return { hashes: tokens.inBlocksOf(usualBlockTokens), promptBytes: prompt.bytes.byteLength, tokens };
}

/** The hashes of the whole blocks that `more` adds to a prompt; the chain goes on from the prompt's last whole block. */
export function continuedHashes(key: PrefixKey, prompt: KeyedPrompt, more: Uint8Array, seed: ChainState): BlockHashes {
  const { low, high } = key.hashes;
  const whole = low.length;
  if (prompt.bytes.byteLength + more.byteLength < bytesOfBlocks(whole + 1)) return noHashes;
  const start = whole === 0 ? promptStart(prompt, seed) : { low: low[whole - 1]!, high: high[whole - 1]! };
  const rest = prompt.bytes.subarray(bytesOfBlocks(whole));
  return hashBlocks(Buffer.concat([rest, more]), start);
}

/** Engines keep caches apart by model and salt; so do the chains, by where they start. */
function promptStart({ model, cacheSalt }: KeyedPrompt, seed: ChainState): ChainState {
  if (cacheSalt === null && latestStart.model === model && latestStart.seed === seed) return latestStart.start;
  const start = chainStart(JSON.stringify([model, cacheSalt]), seed);
  if (cacheSalt === null) latestStart = { model, seed, start };
  return start;
}

/** Most requests are for the model of the one before. */
let latestStart: { model: string; seed: ChainState; start: ChainState } = {
  model: '',
  seed: { low: 0, high: 0 },
  start: { low: 0, high: 0 },
};

/** Where chains of tokens start, in prompts and in engines' events alike. */
export function tokensStart(lora: string | null, cacheSalt: string | null, seed: ChainState): ChainState {
  return chainStart(JSON.stringify(['tokens', lora, cacheSalt]), seed);
}

const noHashes: BlockHashes = { low: new Uint32Array(0), high: new Uint32Array(0) };
export const noPrefix: PrefixKey = { hashes: noHashes, promptBytes: 0 };

/** The hash of the blocks in the first `tokens` of `promptTokens` tokens, one block at least; null without blocks. */
export function prefixHash(key: PrefixKey, promptTokens: number, tokens: number): number | null {
  const { low } = key.hashes;
  if (low.length === 0) return null;
  const blocks = promptTokens > 0 ? Math.round(tokens / tokensPerBlock(key, promptTokens)) : 1;
  return low[Math.min(low.length, Math.max(1, blocks)) - 1]!;
}

/** Tokens in a block of a prompt that has `promptTokens` in all. */
export function tokensPerBlock(key: PrefixKey, promptTokens: number): number {
  return key.promptBytes > 0 ? (blockBytes * promptTokens) / key.promptBytes : 0;
}

/** Bytes of prompt that `blocks` leading blocks hold. */
export function bytesOfBlocks(blocks: number): number {
  return blocks * blockBytes;
}

/** A Decision keeps the hash of every so many blocks, and of twice as many until there are no more than this. */
const keptEvery = 4;
const keptHashes = 128;

/** What a Decision keeps of a key. Of two prompts, those of the longer are of beginnings of which the shorter's are too. */
export function prefixBlocksOf(
  { hashes: { low, high }, promptBytes }: PrefixKey,
  promptTokens: number,
): PrefixBlocks | null {
  let every = keptEvery;
  while (low.length > every * keptHashes) every *= 2;
  const count = Math.floor(low.length / every);
  if (count === 0 || promptTokens === 0) return null;
  const hashes = wholeNumbers(2 * count);
  for (let kept = 0, block = every - 1; kept < count; kept++, block += every) {
    hashes[2 * kept] = low[block]!;
    hashes[2 * kept + 1] = high[block]!;
  }
  return { tokensPerBlock: (bytesOfBlocks(every) * promptTokens) / promptBytes, hashes };
}

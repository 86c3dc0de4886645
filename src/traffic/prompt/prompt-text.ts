import { seededRandom } from '../../base/random.ts';
import { blockIds } from '../trace/trace.ts';
import type { BlockRuns } from '../trace/trace.ts';
import type { Vocabulary } from './words.ts';

/** What a prompt has to be like. */
interface PromptShape {
  readonly promptTokens: number;
  readonly blocks: BlockRuns;
  readonly blockTokens: number;
  /** Names the request: what its blocks do not cover is text that no other request has. */
  readonly key: string;
}

/**
 * Makes prompts up: text of exactly the wanted length under the shipped tokenizer, in which equal block ids are equal
 * text, so that prefixes shared in a trace are shared as text. Same seed, same texts; another seed, none in common.
 */
export class PromptWriter {
  readonly #vocabulary: Vocabulary;
  readonly #seed: number;

  constructor(vocabulary: Vocabulary, seed: number) {
    this.#vocabulary = vocabulary;
    this.#seed = seed;
  }

  /** Tokens that an engine adds on its own are part of `promptTokens`, and of the first block. */
  write(shape: PromptShape): string {
    const parts: string[] = [];
    let left = Math.max(1, shape.promptTokens - this.#vocabulary.leadingTokens);
    let room = shape.blockTokens - this.#vocabulary.leadingTokens;
    for (const id of blockIds(shape.blocks)) {
      if (left <= 0) break;
      const count = Math.min(left, room);
      this.#append(parts, hashText(`block ${id}`, this.#seed), count);
      left -= count;
      room = shape.blockTokens;
    }
    if (left > 0) this.#append(parts, hashText(`own ${shape.key}`, this.#seed), left);
    return parts.join('');
  }

  #append(parts: string[], seed: number, count: number): void {
    const { words } = this.#vocabulary;
    const random = seededRandom(seed);
    for (let index = 0; index < count; index++) parts.push(' ', words[random.below(words.length)]!);
  }
}

/** FNV-1a, 32 bits, with its last step mixed so that neighbours start far apart. */
function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) >>> 0;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

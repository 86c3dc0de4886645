import { assetPath } from '../../base/assets.ts';
import { loadTokenizer } from '../../base/bpe.ts';

/** What prompts are made of. */
export interface Vocabulary {
  /** Words that, with the space before them, are one token each: n of them are n tokens in any order. */
  readonly words: readonly string[];
  /** Tokens that an engine puts before every prompt. */
  readonly leadingTokens: number;
}

const wholeWord = /^Ġ[A-Za-z]{3,}$/;

/** The words of the tokenizer that ships with the simulated engine. */
export function shippedVocabulary(): Vocabulary {
  const tokenizer = loadTokenizer(assetPath('tokenizer/tokenizer.json'));
  const words: string[] = [];
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    const name = tokenizer.nameOf(id);
    if (wholeWord.test(name)) words.push(name.slice(1));
  }
  return { words, leadingTokens: tokenizer.bosId === null ? 0 : 1 };
}

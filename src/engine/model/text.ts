import type { Tokenizer } from '../../base/bpe.ts';

/**
 * What the simulated model "says": the next token as a pure function of model, seed and all tokens so far. So the same
 * prompt always gets the same answer, and continuing from a prompt and part of its answer gives the same rest.
 */
export interface TextModel {
  /** A fresh speaker that has read `tokens`. */
  after(tokens: ArrayLike<number>): Speaker;
}

export interface Speaker {
  /** Says the next token; null when the text ends here by itself. */
  next(): number | null;
}

/** On average so many words go before the text ends by itself, and so many make a sentence. */
const meanAnswerTokens = 900;
const meanSentenceTokens = 14;
/** Words to speak with: enough for variety, few enough to start at once. */
const vocabularyWords = 2_000;

/** Words only, each exactly one token with its leading space, so that re-tokenising the text gives the same tokens. */
export function wordsModel(tokenizer: Tokenizer, model: string, seed: number): TextModel {
  const words = plainWords(tokenizer);
  const stop = tokenizer.idOf('.');
  const start = mixText(`${seed}:${model}`);
  return {
    after(tokens) {
      let low = start >>> 0;
      let high = (start * 31) >>> 0;
      let last = -1;
      const hear = (token: number): void => {
        low = mix(low ^ token);
        high = mix(high + token + 0x9e3779b9);
        last = token;
      };
      for (let i = 0; i < tokens.length; i++) hear(tokens[i]!);
      return {
        next() {
          const endsSentence = stop !== null && words.isWord(last) && low % meanSentenceTokens === 0;
          if (
            !endsSentence &&
            last === stop &&
            (high >>> 3) % Math.round(meanAnswerTokens / meanSentenceTokens) === 0
          ) {
            return null;
          }
          const token = endsSentence ? stop : words.ids[mix(high ^ low) % words.ids.length]!;
          hear(token);
          return token;
        },
      };
    },
  };
}

/**
 * Says the prompt again, over and over. Where one is in it is read off the tokens so far (the longest end that is also
 * their beginning, by Knuth, Morris and Pratt), so that it too can be continued from any point.
 */
export function echoModel(bosId: number | null): TextModel {
  return {
    after(tokens) {
      const said: number[] = [];
      const borders: number[] = [];
      let border = 0;
      const hear = (token: number): void => {
        if (said.length > 0) {
          while (border > 0 && said[border] !== token) border = borders[border - 1]!;
          if (said[border] === token) border += 1;
        }
        said.push(token);
        borders.push(border);
      };
      for (let i = 0; i < tokens.length; i++) if (tokens[i] !== bosId) hear(tokens[i]!);
      return {
        next() {
          const token = said[border] ?? null;
          if (token !== null) hear(token);
          return token;
        },
      };
    },
  };
}

interface Words {
  readonly ids: readonly number[];
  isWord(id: number): boolean;
}

const wordsByTokenizer = new WeakMap<Tokenizer, Words>();

function plainWords(tokenizer: Tokenizer): Words {
  const known = wordsByTokenizer.get(tokenizer);
  if (known !== undefined) return known;
  const ids: number[] = [];
  for (let id = 0; id < tokenizer.vocabularySize && ids.length < vocabularyWords; id++) {
    // `Ġ` stands for the space; short and long ones read badly
    if (/^Ġ[a-z]{3,9}$/.test(tokenizer.nameOf(id))) ids.push(id);
  }
  const set = new Set(ids);
  const words: Words = { ids, isWord: (id) => set.has(id) };
  wordsByTokenizer.set(tokenizer, words);
  return words;
}

/** MurmurHash3's finaliser (Austin Appleby, public domain). */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function mixText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = mix(hash ^ text.charCodeAt(i));
  return hash;
}

import type { Tokenizer } from '../../base/bpe.ts';

/**
 * What the simulated model "says": the next token as a pure function of model, seed and all tokens so far. So the same
 * prompt always gets the same answer, and continuing from a prompt and part of its answer gives the same rest.
 */
export interface TextModel {
  /** A fresh speaker that has read `tokens`. */
  after(tokens: ArrayLike<number>): Speaker;
}

interface Speaker {
  /** Says the next token; null when the text ends here by itself, which `mayEnd` false forbids. */
  next(mayEnd: boolean): number | null;
}

/** One sentence in so many ends the text by itself. */
const sentencesPerAnswer = 400;

type Kind = 'opening' | 'determiner' | 'adjective' | 'noun' | 'verb' | 'preposition' | 'stop';

/** A little grammar, so that answers read like sentences. Words that are not one token of the tokenizer are left out. */
const wordsOfKind: Readonly<Record<Exclude<Kind, 'stop'>, string>> = {
  opening: 'The This Each Every Another',
  determiner: 'the a each this every another that',
  adjective:
    'new small large same simple local early common full main fast long short open clear ready single stable recent useful',
  noun: 'cluster node service request system test plan team model result process server user value list file name time change point step group field table image query event report version platform network memory engine token cache',
  verb: 'uses shows makes takes needs gives returns creates includes provides contains supports adds reads sets keeps helps runs calls sends',
  preposition: 'with from for after before near under through without between',
};

/** Words only, each exactly one token with its leading space, so that re-tokenising the text gives the same tokens. */
export function wordsModel(tokenizer: Tokenizer, model: string, seed: number): TextModel {
  const kindOf = new Map<number, Kind>();
  const idsOf = new Map<Kind, number[]>();
  for (const [kind, words] of Object.entries(wordsOfKind) as [Kind, string][]) {
    const ids = words
      .split(' ')
      .map((word) => tokenizer.idOf(` ${word}`))
      .filter((id) => id !== null);
    idsOf.set(kind, ids);
    for (const id of ids) kindOf.set(id, kind);
  }
  const stop = tokenizer.idOf('.');
  if (stop === null || [...idsOf.values()].some((ids) => ids.length === 0)) {
    throw new RangeError('the tokenizer has no single tokens for common words');
  }
  kindOf.set(stop, 'stop');
  const start = mixText(`${seed}:${model}`);

  return {
    after(tokens) {
      let low = start;
      let high = mix(start + 1);
      let last: Kind | undefined;
      let hasVerb = false;
      const hear = (token: number): void => {
        low = mix(low ^ token);
        high = mix(high + token + 0x9e3779b9);
        last = kindOf.get(token);
        if (last === 'verb') hasVerb = true;
        else if (last === 'stop') hasVerb = false;
      };
      for (let i = 0; i < tokens.length; i++) hear(tokens[i]!);
      return {
        next(mayEnd) {
          if (mayEnd && last === 'stop' && high % sentencesPerAnswer === 0) return null;
          const kind = following(last, hasVerb, low % 100);
          const ids = kind === 'stop' ? [stop] : idsOf.get(kind)!;
          const token = ids[mix(high ^ low) % ids.length]!;
          hear(token);
          return token;
        },
      };
    },
  };
}

/** What may come after a word, given whether the sentence has its verb; `percent` decides between them. */
function following(last: Kind | undefined, hasVerb: boolean, percent: number): Kind {
  switch (last) {
    case 'opening':
    case 'determiner':
      return percent < 40 ? 'adjective' : 'noun';
    case 'adjective':
      return 'noun';
    case 'noun':
      if (hasVerb) return percent < 65 ? 'stop' : 'preposition';
      return percent < 75 ? 'verb' : 'preposition';
    case 'verb':
    case 'preposition':
      return 'determiner';
    case 'stop':
      return 'opening';
    case undefined:
      return 'opening';
  }
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

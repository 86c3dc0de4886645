import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { SignalboxError } from './errors.ts';

/**
 * Byte-level BPE (GPT-2's byte alphabet, Llama 3's splitting rule) read from a Hugging Face `tokenizer.json`.
 * Text is split into words by the file's own regular expression, and each word's ids are remembered: prompts of a
 * conversation repeat most of their words, which makes encoding an order of magnitude faster than merging each time.
 */
export interface Tokenizer {
  readonly vocabularySize: number;
  /** Added before a prompt that is not a rendered chat; null when the file names none. */
  readonly bosId: number | null;
  /** Ids of `text`. Special tokens written out in it are recognised, as vLLM does. */
  encode(text: string): number[];
  /** The same in slices, so that a long text can be spread over several turns of the event loop. */
  encodeSlices(text: string, sliceChars: number): Generator<void, number[]>;
  /**
   * Ids of `text` from a place where a word begins. `boundary` is told of every place where one does, and how many ids
   * there were before it.
   */
  encodeFrom(text: string, from: number, boundary: (at: number, count: number) => void): number[];
  /** UTF-8 bytes of a token; empty for special tokens. Ids out of range throw. */
  bytesOf(id: number): Uint8Array;
  decode(ids: Iterable<number>, options?: { specialTokens?: boolean }): string;
  /** Id of a token by its text, or null. A leading space is part of the text. */
  idOf(text: string): number | null;
  /** The token as `tokenizer.json` writes it (`Ġword`). */
  nameOf(id: number): string;
}

const tokenizerFile = z.object({
  added_tokens: z.array(z.object({ id: z.number().int(), content: z.string().min(1) })),
  pre_tokenizer: z.object({
    pretokenizers: z.array(z.object({ type: z.string(), pattern: z.object({ Regex: z.string() }).optional() })),
  }),
  post_processor: z
    .object({ special_tokens: z.record(z.string(), z.object({ ids: z.array(z.number().int()) })).optional() })
    .nullish(),
  model: z.object({
    type: z.literal('BPE'),
    // tens of thousands of entries: only their container is checked, wrong ones are left out below
    vocab: z.custom<Record<string, number>>((value) => typeof value === 'object' && value !== null),
    merges: z.custom<(string | [string, string])[]>((value) => Array.isArray(value)),
  }),
});

/** Words kept with their ids, per generation; two generations are alive. */
const wordCacheLimit = 32_768;
/** Longer words (base64, long identifiers) are not worth remembering. */
const cachedWordChars = 48;
/** Merging may be quadratic in the length of a word, so an endless one is cut. The cut shows only in the ids. */
const wordLimitChars = 512;

/** How much longer than a remembered one a long word takes, per character. */
const longWordCost = 16;

/** GPT-2's printable stand-in for each byte. */
const charOfByte: string[] = [];
const byteOfChar = new Map<string, number>();
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const char = String.fromCharCode(printable ? byte : next++);
  charOfByte.push(char);
  byteOfChar.set(char, byte);
}

/** Reads `path`; a file that is not such a tokenizer is a `config_invalid` error that says so. */
export function loadTokenizer(path: string): Tokenizer {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SignalboxError('config_invalid', `${path} cannot be read as a tokenizer.json.`, { cause: error });
  }
  const file = tokenizerFile.safeParse(json);
  const split = file.data?.pre_tokenizer.pretokenizers.find((step) => step.type === 'Split')?.pattern?.Regex;
  if (!file.success || split === undefined) {
    throw new SignalboxError('config_invalid', `${path} is not a byte-level BPE tokenizer.json with a split rule.`);
  }
  return createTokenizer(file.data, split);
}

function createTokenizer(file: z.infer<typeof tokenizerFile>, split: string): Tokenizer {
  const idByName = new Map<string, number>();
  const names: string[] = [];
  const specialId = new Map(file.added_tokens.map((token) => [token.content, token.id]));
  for (const name in file.model.vocab) {
    const id = file.model.vocab[name]!;
    idByName.set(name, id);
    names[id] = name;
  }
  for (const [name, id] of specialId) {
    idByName.set(name, id);
    names[id] = name;
  }
  const specialIds = new Set(specialId.values());

  // rank and result of merging two neighbours, keyed by both ids
  const size = names.length;
  const merges = new Map<number, number>();
  const mergedId: number[] = [];
  let expected = -1; // results stand in the vocabulary in the order of the merges, mostly
  for (const merge of file.model.merges) {
    const [left, right] = typeof merge === 'string' ? splitOnce(merge) : merge;
    const leftId = idByName.get(left);
    const rightId = idByName.get(right);
    const result = left + right;
    const id = names[expected] === result ? expected : idByName.get(result);
    if (leftId === undefined || rightId === undefined || id === undefined) continue;
    merges.set(leftId * size + rightId, mergedId.length);
    mergedId.push(id);
    expected = id + 1;
  }

  const words = wordPattern(split);
  const special = specialId.size === 0 ? null : new RegExp([...specialId.keys()].map(escapeRegExp).join('|'), 'g');
  const idOfByte = charOfByte.map((char) => idByName.get(char) ?? 0);
  const utf8 = new TextEncoder();
  let recent = new Map<string, readonly number[]>();
  let older = new Map<string, readonly number[]>();

  function encodeWord(word: string, out: number[]): void {
    let ids = recent.get(word);
    if (ids === undefined) {
      ids = older.get(word) ?? mergeWord(word);
      if (word.length <= cachedWordChars) {
        if (recent.size >= wordCacheLimit) {
          older = recent;
          recent = new Map();
        }
        // a copy of the key: a slice would keep the whole prompt alive
        recent.set(Buffer.from(word).toString(), ids);
      }
    }
    for (const id of ids) out.push(id);
  }

  /** Joins the neighbours of the lowest rank, wherever they are, until none can be joined. */
  function mergeWord(word: string): number[] {
    const bytes = utf8.encode(word);
    let name = '';
    for (const byte of bytes) name += charOfByte[byte];
    const whole = idByName.get(name);
    if (whole !== undefined) return [whole];
    const ids = Array.from(bytes, (byte) => idOfByte[byte]!);
    const rankAt = (at: number): number => merges.get(ids[at]! * size + ids[at + 1]!) ?? Infinity;
    const ranks = ids.map((_, at) => (at + 1 < ids.length ? rankAt(at) : Infinity));
    for (;;) {
      let best = Infinity;
      for (const rank of ranks) if (rank < best) best = rank;
      if (best === Infinity) return ids;
      let kept = 0;
      for (let at = 0; at < ids.length; at++, kept++) {
        const joins = ranks[at] === best;
        ids[kept] = joins ? mergedId[best]! : ids[at]!;
        ranks[kept] = ranks[at]!;
        if (joins) ranks[kept] = NaN; // to be looked up, as that of the one before it
        if (joins) at += 1;
      }
      ids.length = kept;
      ranks.length = kept;
      for (let at = 0; at < kept; at++) {
        if (!Number.isNaN(ranks[at]!)) continue;
        ranks[at] = at + 1 < kept ? rankAt(at) : Infinity;
        if (at > 0 && !Number.isNaN(ranks[at - 1]!)) ranks[at - 1] = rankAt(at - 1);
      }
    }
  }

  function* encodePlain(text: string, sliceChars: number, out: number[]): Generator<void, void> {
    // words that are not remembered cost far more than others
    let work = 0;
    words.lastIndex = 0;
    for (let match = words.exec(text); match !== null; match = words.exec(text)) {
      const [word] = match;
      const next = words.lastIndex; // others may use the pattern meanwhile
      for (let at = 0; at < word.length;) {
        let end = Math.min(word.length, at + wordLimitChars);
        if (end < word.length && isHighSurrogate(word.charCodeAt(end - 1))) end -= 1;
        encodeWord(at === 0 && end === word.length ? word : word.slice(at, end), out);
        work += end - at > cachedWordChars ? longWordCost * (end - at) : end - at;
        at = end;
        if (work >= sliceChars) {
          work = 0;
          yield;
        }
      }
      words.lastIndex = next;
    }
  }

  function* encodeSlices(text: string, sliceChars: number): Generator<void, number[]> {
    const out: number[] = [];
    let at = 0;
    if (special !== null) {
      for (const match of text.matchAll(special)) {
        yield* encodePlain(text.slice(at, match.index), sliceChars, out);
        out.push(specialId.get(match[0])!);
        at = match.index + match[0].length;
      }
    }
    yield* encodePlain(at === 0 ? text : text.slice(at), sliceChars, out);
    return out;
  }

  function encodeFrom(text: string, from: number, boundary: (at: number, count: number) => void): number[] {
    const out: number[] = [];
    const plain = (start: number, end: number): void => {
      const part = start === 0 && end === text.length ? text : text.slice(start, end);
      words.lastIndex = 0;
      for (let match = words.exec(part); match !== null; match = words.exec(part)) {
        const [word] = match;
        const next = words.lastIndex;
        boundary(start + match.index, out.length);
        for (let at = 0; at < word.length;) {
          let cut = Math.min(word.length, at + wordLimitChars);
          if (cut < word.length && isHighSurrogate(word.charCodeAt(cut - 1))) cut -= 1;
          encodeWord(at === 0 && cut === word.length ? word : word.slice(at, cut), out);
          at = cut;
        }
        words.lastIndex = next;
      }
    };
    let at = from;
    if (special !== null) {
      special.lastIndex = from;
      for (let match = special.exec(text); match !== null; match = special.exec(text)) {
        plain(at, match.index);
        boundary(match.index, out.length);
        out.push(specialId.get(match[0])!);
        at = match.index + match[0].length;
        special.lastIndex = at;
      }
    }
    plain(at, text.length);
    return out;
  }

  const bytesById: (Uint8Array | undefined)[] = [];
  function bytesOf(id: number): Uint8Array {
    const known = bytesById[id];
    if (known !== undefined) return known;
    const name = names[id];
    if (name === undefined) throw new SignalboxError('request_invalid', `Token id ${id} is out of vocabulary`);
    const bytes = specialIds.has(id) ? new Uint8Array() : Uint8Array.from(name, (char) => byteOfChar.get(char) ?? 63);
    bytesById[id] = bytes;
    return bytes;
  }

  const bos = Object.values(file.post_processor?.special_tokens ?? {})[0]?.ids[0];
  return {
    vocabularySize: size,
    bosId: bos ?? null,
    encode: (text) => {
      const slices = encodeSlices(text, Infinity);
      for (;;) {
        const step = slices.next();
        if (step.done) return step.value;
      }
    },
    encodeSlices,
    encodeFrom,
    bytesOf,
    decode(ids, options) {
      const parts: Uint8Array[] = [];
      for (const id of ids) {
        const bytes = bytesOf(id);
        parts.push(options?.specialTokens && specialIds.has(id) ? utf8.encode(names[id]!) : bytes);
      }
      return Buffer.concat(parts).toString('utf8');
    },
    idOf(text) {
      let name = '';
      for (const byte of utf8.encode(text)) name += charOfByte[byte];
      return specialId.get(text) ?? idByName.get(name) ?? null;
    },
    nameOf: (id) => names[id] ?? '',
  };
}

/** The rule as JavaScript wants it: `(?i:…)` needs no change in current engines, only the flags differ. */
function wordPattern(split: string): RegExp {
  try {
    return new RegExp(split, 'gu');
  } catch (error) {
    throw new SignalboxError('config_invalid', `The tokenizer's split rule is not understood: ${split}`, {
      cause: error,
    });
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

function splitOnce(merge: string): [string, string] {
  const space = merge.indexOf(' ');
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

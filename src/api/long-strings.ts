import { isAscii } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { byteSlabs } from '../base/byte-slabs.ts';

/** Strings shorter than it are parsed with all else. */
const leastBytes = 1024;
/** Within it a string's end is looked for byte by byte: a search by the platform costs more to start. */
const nearBytes = 64;
const quote = 0x22;
const backslash = 0x5c;

/** Cannot be guessed, so that nobody can send what would be taken for it; stands otherwise in JSON than in text. */
const mark = randomBytes(12).toString('hex');
const placeholder = (index: number): string => `"\\u0001${mark}:${index}\\u0001"`;
const placed = new RegExp(String.raw`(\u0001|\\u0001)${mark}:(\d+)(?:\u0001|\\u0001)`, 'g');

/**
 * The long strings of a JSON body, left where they lie: prompts are most of a body's bytes, and reading them as
 * JavaScript strings is most of what parsing costs. In what is parsed placeholders stand for them.
 */
export class LongStrings {
  readonly #body: Buffer;
  /** Where each begins and ends, without its quotes. */
  readonly #ranges: readonly (readonly [number, number])[];

  constructor(body: Buffer, ranges: readonly (readonly [number, number])[]) {
    this.#body = body;
    this.#ranges = ranges;
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** Whether a parsed value has one in it. */
  isIn(value: unknown): boolean {
    if (this.isEmpty || typeof value === 'number' || typeof value === 'boolean') return false;
    return typeof value === 'string' ? value.includes(mark) : JSON.stringify(value)?.includes(mark) === true;
  }

  /**
   * `text`, with what the placeholders in it stand for, in UTF-8, and its length in characters. The memory is of `byteSlabs`,
   * for whoever knows when it is read no more. @throws SyntaxError
   */
  expanded(text: string): { bytes: Buffer; characters: number } {
    if (this.isEmpty) return { bytes: Buffer.from(text), characters: text.length };
    const pieces: Buffer[] = [];
    let characters = 0;
    let from = 0;
    for (const match of text.matchAll(placed)) {
      const before = text.slice(from, match.index);
      const isInJson = match[1] === '\\u0001';
      const string = this.#read(Number(match[2]), isInJson);
      pieces.push(Buffer.from(before), string.bytes);
      characters += before.length + string.characters;
      from = match.index + match[0].length;
    }
    const rest = text.slice(from);
    pieces.push(Buffer.from(rest));
    return { bytes: joined(pieces), characters: characters + rest.length };
  }

  #read(index: number, isInJson: boolean): { bytes: Buffer; characters: number } {
    const [start, end] = this.#ranges[index]!;
    const bytes = this.#body.subarray(start, end);
    if (!bytes.includes(backslash)) {
      return { bytes, characters: isAscii(bytes) ? bytes.length : bytes.toString().length };
    }
    const value = JSON.parse(this.#body.toString('utf8', start - 1, end + 1)) as string;
    const text = isInJson ? JSON.stringify(value).slice(1, -1) : value;
    return { bytes: Buffer.from(text), characters: text.length };
  }
}

function joined(pieces: readonly Buffer[]): Buffer {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = byteSlabs.take(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole.subarray(0, length);
}

/** Parses JSON but for its long strings, whose insides are nobody's business here. @throws SyntaxError */
export function parseJson(body: Buffer): { value: unknown; long: LongStrings } {
  const ranges = longStrings(body);
  let text = '';
  let from = 0;
  for (const [index, [start, end]] of ranges.entries()) {
    text += body.toString('utf8', from, start - 1) + placeholder(index);
    from = end + 1;
  }
  text += body.toString('utf8', from);
  return { value: JSON.parse(text), long: new LongStrings(body, ranges) };
}

function longStrings(body: Buffer): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  if (body.length < leastBytes) return ranges;
  for (let at = 0; at < body.length; at++) {
    if (body[at] !== quote) continue;
    const end = stringEnd(body, at + 1);
    if (end < 0) break;
    if (end - at > leastBytes) ranges.push([at + 1, end]);
    at = end;
  }
  return ranges;
}

/** Where the closing quote is of a string whose text begins at `start`; -1 when there is none. */
function stringEnd(body: Buffer, start: number): number {
  let at = start;
  for (const near = Math.min(body.length, start + nearBytes); at < near; at++) {
    const byte = body[at];
    if (byte === backslash) at++;
    else if (byte === quote) return at;
  }
  for (let end = body.indexOf(quote, at); end >= 0; end = body.indexOf(quote, end + 1)) {
    let before = end;
    while (before > at && body[before - 1] === backslash) before--;
    if ((end - before) % 2 === 0) return end;
  }
  return -1;
}

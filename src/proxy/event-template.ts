import { isObject } from '../api/prompt.ts';
import { firstChoice } from './stream-so-far.ts';

const quote = 0x22;
const backslash = 0x5c;
const space = 0x20;

/**
 * An event of a stream that says a piece of text and nothing else, as a pattern: engines write the same event again and
 * again with another text in it, so that one need not be parsed to know what it says.
 */
export class EventTemplate {
  /** What stands before the text, and after it. */
  readonly #before: Buffer;
  readonly #after: Buffer;

  private constructor(before: Buffer, after: Buffer) {
    this.#before = before;
    this.#after = after;
  }

  /** The pattern of an event of one line (with the empty one), which says `answer`; null where that is more than a text. */
  static of(event: Buffer, answer: unknown): EventTemplate | null {
    if (!isObject(answer) || (answer['usage'] !== undefined && answer['usage'] !== null)) return null;
    const { choices } = answer;
    if (!Array.isArray(choices) || choices.length !== 1) return null;
    const choice = firstChoice(answer);
    if (choice === null || typeof choice['finish_reason'] === 'string') return null;
    if (saysMore(choice) || saysMore(answer)) return null;
    const { delta } = choice;
    if (delta !== undefined && !(isObject(delta) && Object.keys(delta).every((name) => name === 'content')))
      return null;
    const text = delta === undefined ? choice['text'] : delta['content'];
    if (typeof text !== 'string' || text === '') return null;
    const key = delta === undefined ? '"text":' : '"content":';
    const at = event.indexOf(key);
    if (at < 0 || event.indexOf(key, at + 1) >= 0) return null;
    const start = event.indexOf(quote, at + key.length) + 1;
    const bytes = Buffer.from(text);
    const end = start + bytes.length;
    // A text that was escaped stands otherwise than it reads.
    if (!event.subarray(start, end).equals(bytes) || event[end] !== quote) return null;
    return new EventTemplate(Buffer.from(event.subarray(0, start)), Buffer.from(event.subarray(end)));
  }

  /** Where an event of this pattern that begins at `start` of `bytes` has the end of its text; -1 where it is another one. */
  textEnd(bytes: Buffer, start: number): number {
    const before = this.#before;
    const from = start + before.length;
    if (from >= bytes.length || !standsAt(before, bytes, start)) return -1;
    let end = from;
    for (; end < bytes.length; end++) {
      const byte = bytes[end]!;
      if (byte === quote) break;
      if (byte === backslash || byte < space) return -1;
    }
    const after = this.#after;
    return end + after.length <= bytes.length && standsAt(after, bytes, end) ? end : -1;
  }

  /** Where the text begins in an event that begins at `start`. */
  textStart(start: number): number {
    return start + this.#before.length;
  }

  /** Where an event ends whose text ends at `textEnd`. */
  eventEnd(textEnd: number): number {
    return textEnd + this.#after.length;
  }
}

/** Byte by byte: for so few of them a call of the platform's takes longer. */
function standsAt(wanted: Buffer, bytes: Buffer, start: number): boolean {
  for (let at = 0; at < wanted.length; at++) if (wanted[at] !== bytes[start + at]) return false;
  return true;
}

/** Members of which the next event's may be others. */
const varying = ['token_ids', 'prompt_token_ids', 'error'];

function saysMore(value: Record<string, unknown>): boolean {
  return varying.some((name) => value[name] !== undefined && value[name] !== null);
}

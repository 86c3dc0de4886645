import { isObject } from '../api/prompt.ts';
import { streamError } from './answer-reader.ts';
import { eventEnd } from './event-end.ts';

/** Longer events are passed on as they come; one of usage is far shorter. */
const largestEventBytes = 64 * 1024;
/** So much may belong to a separator that is cut in two. */
const separatorBytes = 3;
const none = Buffer.alloc(0);
const noRuns: readonly number[] = [];

/**
 * Passes the bytes of a `text/event-stream` on event by event: a client has no use for half an event, and where a stream
 * breaks, what is said instead must not be glued to one.
 *
 * With `hidesUsage` the event that `stream_options.include_usage` adds is left out, for clients that did not ask for it.
 * Engines put what closes an answer (`system_fingerprint`, `timings`) into the last event of all: those members go back to
 * the event with the finish reason, which therefore waits for the one after it.
 */
export class EventFilter {
  readonly #write: (bytes: Buffer) => void;
  #hidesUsage: boolean;
  /** The beginning of an event. */
  #rest: Buffer = none;
  /** The rest of an event too long to wait for is passing. */
  #passing = false;
  #finishing: Buffer | null = null;

  constructor(hidesUsage: boolean, write: (bytes: Buffer) => void) {
    this.#hidesUsage = hidesUsage;
    this.#write = write;
  }

  /**
   * Passes on what `chunk` completes. `textRuns` says where runs of whole events begin and end that say pieces of text and
   * nothing else: there is nothing to look for in them.
   */
  push(chunk: Buffer, textRuns: readonly number[] = noRuns): void {
    let from = 0;
    for (let run = 0; run < textRuns.length; run += 2) {
      const [start, end] = [textRuns[run]!, textRuns[run + 1]!];
      if (start > from) this.#push(chunk.subarray(from, start), false);
      const waits = this.#rest.length > 0 || this.#passing || this.#finishing !== null;
      const events = start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
      if (waits) this.#push(events, false);
      else this.#write(events);
      from = end;
    }
    if (from < chunk.length) this.#push(from === 0 ? chunk : chunk.subarray(from), false);
  }

  /** Passes on what `chunk` completes up to where the engine says that it cannot go on, and no more. */
  pushUntilError(chunk: Buffer): void {
    this.#push(chunk, true);
  }

  #push(chunk: Buffer, untilError: boolean): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let passed = 0;
    let start = 0;
    for (let end = eventEnd(bytes, start); end >= 0; end = eventEnd(bytes, start)) {
      if (untilError && streamError(dataOf(bytes.subarray(start, end))) !== null) {
        this.#pass(bytes.subarray(passed, start));
        this.#rest = none;
        return;
      }
      if (this.#hidesUsage && !this.#passing && this.#isKept(bytes.subarray(start, end), bytes.subarray(passed, start)))
        passed = end;
      this.#passing = false;
      start = end;
    }
    let whole = start;
    if (this.#passing || bytes.length - start > largestEventBytes) {
      whole = Math.max(start, bytes.length - separatorBytes);
      this.#release();
      this.#passing = true;
    }
    this.#pass(bytes.subarray(passed, whole));
    this.#rest = whole === bytes.length ? none : Buffer.from(bytes.subarray(whole));
  }

  /** The stream has ended: passes on what is left. */
  end(): void {
    this.#release();
    this.#pass(this.#rest);
    this.#rest = none;
  }

  /** The stream broke: passes on whole events only. False when half of a long one has been passed on already. */
  break(): boolean {
    this.#release();
    this.#rest = none;
    return !this.#passing;
  }

  /** Whether `event` does not go out with its neighbours; `before` are those of them that must go out first. */
  #isKept(event: Buffer, before: Buffer): boolean {
    const finishes = event.includes('"finish_reason":"') || event.includes('"finish_reason": "');
    const usage = !finishes && event.includes('"usage"') ? usageEvent(event) : null;
    if (usage !== null && this.#finishing !== null) this.#finishing = withClosingMembers(this.#finishing, usage);
    this.#release();
    if (usage === null && !finishes) return false;
    this.#pass(before);
    if (finishes) this.#finishing = Buffer.from(event);
    else this.#hidesUsage = false;
    return true;
  }

  #release(): void {
    const finishing = this.#finishing;
    this.#finishing = null;
    if (finishing !== null) this.#pass(finishing);
  }

  #pass(bytes: Buffer): void {
    if (bytes.length > 0) this.#write(bytes);
  }
}

export function dataOf(event: Buffer): unknown {
  const text = event.toString();
  try {
    return text.startsWith('data:') ? JSON.parse(text.slice(5)) : null;
  } catch {
    return null;
  }
}

function usageEvent(event: Buffer): Record<string, unknown> | null {
  const data = dataOf(event);
  if (!isObject(data) || !isObject(data['usage'])) return null;
  const { choices } = data;
  return Array.isArray(choices) && choices.length === 0 ? data : null;
}

function withClosingMembers(event: Buffer, usage: Record<string, unknown>): Buffer {
  const data = dataOf(event);
  if (!isObject(data)) return event;
  const closing = Object.entries(usage).filter(([name]) => name !== 'usage' && !(name in data));
  const members = closing.map(([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`).join('');
  const end = event.lastIndexOf('}');
  return Buffer.concat([event.subarray(0, end), Buffer.from(members), event.subarray(end)]);
}

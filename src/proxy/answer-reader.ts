import { AnswerText } from '../api/answer-text.ts';
import { isObject } from '../api/prompt.ts';
import { SseReader } from '../api/sse.ts';
import { engineError, usageOf, type Usage } from '../api/usage.ts';
import { eventEnd } from './event-end.ts';
import { EventTemplate } from './event-template.ts';
import { firstChoice, type StreamSoFar } from './stream-so-far.ts';

const largestReadBytes = 1024 * 1024;
/** A stream whose events are never alike is not worth more tries. */
const largestLearned = 4;
const dataPrefix = Buffer.from('data: ');
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** What an answer says of itself. */
export interface Report extends Usage {
  /** What it adds to its conversation; null when not kept or not known. */
  readonly text: string | null;
}

export const noReport: Report = { promptTokens: null, completionTokens: null, cachedTokens: null, text: null };

/** Looks on while an answer passes, for what it says of itself. */
export interface AnswerReader {
  push(chunk: Buffer): void;
  /** What was seen so far; call at the end. */
  report(): Report;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An answer in one JSON document. */
export class JsonAnswerReader implements AnswerReader {
  readonly #text: AnswerText | null;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(keepText: boolean) {
    this.#text = keepText ? new AnswerText() : null;
  }

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= largestReadBytes) this.#chunks.push(chunk);
    else this.#chunks.length = 0;
  }

  report(): Report {
    if (this.#bytes > largestReadBytes) return noReport;
    const answer = parse(Buffer.concat(this.#chunks).toString());
    this.#text?.add(answer);
    return { ...(usageOf(answer) ?? noReport), text: this.#text?.text ?? null };
  }
}

/** Where an engine says, in the middle of a stream, that it cannot go on. */
interface StreamError {
  readonly status: number;
  readonly message: string;
}

/** An answer as a stream of events, with errors where events should be. */
export class StreamAnswerReader implements AnswerReader {
  readonly #sse = new SseReader((data) => void this.#event(data));
  readonly #soFar: StreamSoFar | null;
  #begun = false;
  #ended = false;
  #firstError: { status: number; body: string } | null = null;
  #error: StreamError | null = null;
  #usage: Usage | null = null;
  #template: EventTemplate | null = null;
  #learned = 0;
  /**
   * Of what was pushed last: where runs of whole events begin and end that say a piece of text each and nothing else, in
   * turn with what else there was.
   */
  readonly textRuns: number[] = [];

  /** What the events say is added to `soFar`, for those who need to know. */
  constructor(soFar: StreamSoFar | null) {
    this.#soFar = soFar;
  }

  push(chunk: Buffer): void {
    this.textRuns.length = 0;
    for (let at = 0; at < chunk.length;) {
      const isEvent = this.#sse.isBetweenEvents;
      const alike = isEvent ? this.#takeAlike(chunk, at) : at;
      if (alike > at) {
        this.textRuns.push(at, alike);
        at = alike;
        continue;
      }
      const end = eventEnd(chunk, at);
      const next = end < 0 ? chunk.length : end;
      if (isEvent && end >= 0 && isLine(chunk, at, end)) this.#takeLine(chunk, at, end);
      else this.#sse.push(chunk.subarray(at, next));
      at = next;
    }
  }

  /** Takes the events that are like one before but for their text; returns where they end. */
  #takeAlike(chunk: Buffer, start: number): number {
    const template = this.#template;
    if (template === null) return start;
    let at = start;
    for (let end = template.textEnd(chunk, at); end >= 0; end = template.textEnd(chunk, at)) {
      this.#soFar?.addAlike(chunk, template.textStart(at), end);
      at = template.eventEnd(end);
      if (at === chunk.length) break;
    }
    return at;
  }

  /** Takes a whole event of one line, and looks whether others may be like it. */
  #takeLine(chunk: Buffer, start: number, end: number): void {
    const answer = this.#event(chunk.toString('utf8', start + dataPrefix.length, end - 2));
    if (this.#learned === largestLearned) return;
    const template = EventTemplate.of(chunk.subarray(start, end), answer);
    if (template === null) return;
    this.#template = template;
    this.#learned++;
  }

  /** Whether an event has come whole. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Whether it has come to an end of its own: a finish reason, or `[DONE]`. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What the first event says when it is an error: body and status it should have had. */
  get firstError(): { readonly status: number; readonly body: string } | null {
    return this.#firstError;
  }

  /** The last error among the events. */
  get error(): StreamError | null {
    return this.#error;
  }

  report(): Report {
    return { ...(this.#usage ?? noReport), text: this.#soFar?.text.text ?? null };
  }

  /** Gives what it says, parsed. */
  #event(data: string): unknown {
    const isFirst = !this.#begun;
    this.#begun = true;
    if (data === '[DONE]') {
      this.#ended = true;
      return null;
    }
    const answer = parse(data);
    const error = streamError(answer);
    if (error !== null) {
      this.#error = error;
      const said = (answer as Record<string, unknown>)['error'] ?? { message: error.message, code: error.status };
      if (isFirst) this.#firstError = { status: error.status, body: JSON.stringify({ error: said }) };
      return null;
    }
    this.#usage = usageOf(answer) ?? this.#usage;
    this.#soFar?.add(answer);
    if (isObject(answer) && typeof firstChoice(answer)?.['finish_reason'] === 'string') this.#ended = true;
    return answer;
  }
}

/** Whether the event from `start` to `end` is one line of data, which ends with LF. */
function isLine(bytes: Buffer, start: number, end: number): boolean {
  for (let at = 0; at < dataPrefix.length; at++) if (bytes[start + at] !== dataPrefix[at]) return false;
  return bytes[end - 3] !== carriageReturn && bytes.indexOf(lineFeed, start) === end - 2;
}

/** An event's error, or the finish reason with which engines give up a request on their own. */
export function streamError(answer: unknown): StreamError | null {
  if (!isObject(answer)) return null;
  const error = engineError(answer);
  if (error !== null) return error;
  const reason = firstChoice(answer)?.['finish_reason'];
  return reason === 'abort' || reason === 'error' ? { status: 500, message: `it ended with "${reason}"` } : null;
}

import { AnswerText } from '../api/answer-text.ts';
import { isObject } from '../api/prompt.ts';
import { SseReader } from '../api/sse.ts';
import { engineError, usageOf, type Usage } from '../api/usage.ts';

const largestReadBytes = 1024 * 1024;

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

/** An answer as a stream of events, with errors where events should be. */
export class StreamAnswerReader implements AnswerReader {
  readonly #sse = new SseReader((data) => this.#event(data));
  readonly #text: AnswerText | null;
  #begun = false;
  #firstError: { status: number; body: string } | null = null;
  #errorStatus: number | null = null;
  #usage: Usage | null = null;

  constructor(keepText: boolean) {
    this.#text = keepText ? new AnswerText() : null;
  }

  push(chunk: Buffer): void {
    this.#sse.push(chunk);
  }

  /** Whether an event has come whole. */
  get begun(): boolean {
    return this.#begun;
  }

  /** What the first event says when it is an error: body and status it should have had. */
  get firstError(): { readonly status: number; readonly body: string } | null {
    return this.#firstError;
  }

  /** The status of the last error among the events. */
  get errorStatus(): number | null {
    return this.#errorStatus;
  }

  report(): Report {
    return { ...(this.#usage ?? noReport), text: this.#text?.text ?? null };
  }

  #event(data: string): void {
    const isFirst = !this.#begun;
    this.#begun = true;
    if (data === '[DONE]') return;
    const answer = parse(data);
    this.#usage = usageOf(answer) ?? this.#usage;
    this.#text?.add(answer);
    const error = engineError(answer);
    if (error === null || !isObject(answer)) return;
    this.#errorStatus = error.status;
    if (isFirst) this.#firstError = { status: error.status, body: JSON.stringify({ error: answer['error'] }) };
  }
}

import { isObject } from '../api/prompt.ts';
import { SseReader } from '../api/sse.ts';
import { engineError, usageOf, type Usage } from '../api/usage.ts';

const largestReadBytes = 1024 * 1024;

/** Looks on while an answer passes, for what it says of itself: usage, and errors where events should be. */
export interface AnswerReader {
  push(chunk: Buffer): void;
  /** Usage as far as seen; call at the end. */
  usage(): Usage | null;
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
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= largestReadBytes) this.#chunks.push(chunk);
    else this.#chunks.length = 0;
  }

  usage(): Usage | null {
    return this.#bytes > largestReadBytes ? null : usageOf(parse(Buffer.concat(this.#chunks).toString()));
  }
}

/** An answer as a stream of events. */
export class StreamAnswerReader implements AnswerReader {
  readonly #sse = new SseReader((data) => this.#event(data));
  #first: string | null = null;
  #usage: Usage | null = null;

  push(chunk: Buffer): void {
    this.#sse.push(chunk);
  }

  /** Whether an event has come whole. */
  get begun(): boolean {
    return this.#first !== null;
  }

  /** What the first event says when it is an error: body and status it should have had. */
  firstError(): { status: number; body: string } | null {
    const answer = this.#first === null ? null : parse(this.#first);
    const error = engineError(answer);
    if (error === null || !isObject(answer)) return null;
    return { status: error.status, body: JSON.stringify({ error: answer['error'] }) };
  }

  usage(): Usage | null {
    return this.#usage;
  }

  #event(data: string): void {
    this.#first ??= data;
    if (data.includes('"usage"') && !data.includes('"usage":null')) this.#usage = usageOf(parse(data)) ?? this.#usage;
  }
}

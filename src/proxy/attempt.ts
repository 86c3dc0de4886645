import { responseHeaders } from '../api/control-headers.ts';
import { askingForRank } from '../api/data-parallel-rank.ts';
import { JsonAnswerReader, noReport, StreamAnswerReader, type AnswerReader, type Report } from './answer-reader.ts';
import type { StreamSoFar } from './stream-so-far.ts';
import type { TransportFailure, Sender, UpstreamCall, UpstreamRequest } from './upstream.ts';
import { watchdog } from './watchdog.ts';

export interface Target {
  readonly name: string;
  readonly address: string;
  /** The data-parallel rank behind the address that is meant, where there are several. */
  readonly rank?: number;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: Record<string, string | string[]>;
}

/** An answer that is better got elsewhere, kept to be passed on when there is no elsewhere. */
export interface Refusal extends AnswerHead {
  readonly body: Buffer;
}

/** Why an endpoint's answer does not come, or not to its end. */
export type AttemptFailure = TransportFailure | 'server-error' | 'busy';

/** Hears of one attempt: `began`, `data` and `ended`, until one of `refused` and `lost` is all that comes. */
interface AttemptHandlers {
  /** The endpoint answered that it cannot. */
  refused(refusal: Refusal): void;
  /** The answer begins; of a stream, its first event has come, and is no error. */
  began(head: AnswerHead): void;
  /** `error` when the engine says in this chunk that it cannot go on; `textRuns` as `StreamAnswerReader` has them. */
  data(chunk: Buffer, error: string | null, textRuns: readonly number[]): void;
  ended(): void;
  lost(failure: TransportFailure, reason: string): void;
  /**
   * Called a few times a second, with when something last came (-Infinity: nothing has): a reason to give it up, null to
   * go on waiting.
   */
  looked(heardAtMs: number, silentMs: number): string | null;
}

interface AttemptOptions {
  readonly upstream: Sender;
  readonly request: UpstreamRequest;
  /** Whether the text of an answer that does not stream is kept. */
  readonly keepText: boolean;
  /** What the answer's events say is added to it. */
  readonly soFar: StreamSoFar | null;
}

const largestRefusalBytes = 64 * 1024;
const largestHeldBytes = 1024 * 1024;
const noRuns: readonly number[] = [];

/** One try at one endpoint, up to its answer's end. Nothing is heard of it after `leave`. */
export class Attempt {
  readonly target: Target;
  readonly #handlers: AttemptHandlers;
  readonly #options: AttemptOptions;
  readonly #call: UpstreamCall;
  #over = false;
  heardAtMs = performance.now();
  paused = false;
  rosterAt = -1;
  #head: AnswerHead | null = null;
  #refuses = false;
  #reader: AnswerReader | null = null;
  /** What has come before the answer counts as begun; null from then on. */
  #held: Buffer[] | null = [];
  #heldBytes = 0;

  constructor(target: Target, options: AttemptOptions, handlers: AttemptHandlers) {
    this.target = target;
    this.#options = options;
    this.#handlers = handlers;
    this.#call = options.upstream.send(target.address, askingForRank(options.request, target.rank), {
      head: (status, headers) => this.#onHead(status, responseHeaders(headers)),
      data: (chunk) => this.#onData(chunk),
      end: () => this.#onEnd(),
      failed: (failure, reason) => this.#onFailed(failure, reason),
    });
    watchdog.watch(this);
  }

  /** Whether its answer is a stream of events. */
  get streams(): boolean {
    return this.#reader instanceof StreamAnswerReader;
  }

  /** Whether a stream has come to an end of its own. */
  get cameToItsEnd(): boolean {
    return !(this.#reader instanceof StreamAnswerReader) || this.#reader.ended;
  }

  /** The status of an error among a stream's events. */
  get errorStatus(): number | null {
    return this.#reader instanceof StreamAnswerReader ? (this.#reader.error?.status ?? null) : null;
  }

  report(): Report {
    return this.#reader?.report() ?? noReport;
  }

  /** Ends it, at whatever stage. */
  leave(): void {
    if (this.#settle()) this.#call.abort();
  }

  pause(): void {
    this.paused = true;
    this.#call.pause();
  }

  resume(): void {
    this.paused = false;
    this.heardAtMs = performance.now();
    this.#call.resume();
  }

  looked(silentMs: number): void {
    const reason = this.#handlers.looked(this.#head === null ? -Infinity : this.heardAtMs, silentMs);
    if (reason === null || !this.#settle()) return;
    this.#call.abort();
    this.#handlers.lost('timeout', reason);
  }

  /** False when it was over already. */
  #settle(): boolean {
    if (this.#over) return false;
    this.#over = true;
    watchdog.unwatch(this);
    return true;
  }

  #onHead(status: number, headers: Record<string, string | string[]>): void {
    if (this.#over) return;
    this.heardAtMs = performance.now();
    this.#head = { status, headers };
    this.#refuses = status >= 500 || status === 429;
    if (this.#refuses) return;
    const type = String(headers['content-type'] ?? '');
    if (type.startsWith('text/event-stream')) this.#reader = new StreamAnswerReader(this.#options.soFar);
    else if (type.startsWith('application/json')) this.#reader = new JsonAnswerReader(this.#options.keepText);
  }

  #onData(chunk: Buffer): void {
    if (this.#over) return;
    this.heardAtMs = performance.now();
    if (this.#refuses) {
      if ((this.#heldBytes += chunk.length) <= largestRefusalBytes) this.#held!.push(Buffer.from(chunk));
      return;
    }
    const reader = this.#reader;
    // What is held is kept, and what keeps a document can have the same.
    const kept = this.#held === null && !(reader instanceof JsonAnswerReader) ? chunk : Buffer.from(chunk);
    reader?.push(kept);
    if (this.#held === null) {
      this.#pass(chunk, reader instanceof StreamAnswerReader ? reader.textRuns : noRuns);
      return;
    }
    this.#held.push(kept);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < largestHeldBytes) {
      // A document that is not whole yet can still be got elsewhere.
      if (reader instanceof JsonAnswerReader) return;
      if (reader instanceof StreamAnswerReader) {
        if (!reader.begun) return;
        const error = reader.firstError;
        if (error !== null && (error.status >= 500 || error.status === 429)) {
          this.#settle();
          this.#call.abort();
          const headers = { 'content-type': 'application/json' };
          this.#handlers.refused({ status: error.status, headers, body: Buffer.from(error.body) });
          return;
        }
      }
    }
    this.#begin();
  }

  #onEnd(): void {
    if (!this.#over && this.#held !== null && !this.#refuses) this.#begin();
    if (!this.#settle()) return;
    if (this.#refuses) this.#refuse();
    else this.#handlers.ended();
  }

  #onFailed(failure: TransportFailure, reason: string): void {
    if (!this.#settle()) return;
    if (this.#refuses) this.#refuse();
    else this.#handlers.lost(failure, reason);
  }

  #refuse(): void {
    this.#handlers.refused({ ...this.#head!, body: Buffer.concat(this.#held!) });
  }

  #begin(): void {
    const held = this.#held!;
    this.#held = null;
    this.#handlers.began(this.#head!);
    if (held.length > 0 && !this.#over) {
      const isOne = held.length === 1;
      const runs = isOne && this.#reader instanceof StreamAnswerReader ? this.#reader.textRuns : noRuns;
      this.#pass(isOne ? held[0]! : Buffer.concat(held), runs);
    }
  }

  #pass(chunk: Buffer, textRuns: readonly number[]): void {
    const error = this.#reader instanceof StreamAnswerReader ? this.#reader.error : null;
    this.#handlers.data(chunk, error !== null && error.status >= 500 ? error.message : null, textRuns);
  }
}

import type { ServerResponse } from 'node:http';
import { responseHeaders } from '../api/control-headers.ts';
import { errorEvent } from '../api/errors.ts';
import { SignalboxError } from '../base/errors.ts';
import { EventFilter } from './event-filter.ts';
import { JsonAnswerReader, noReport, StreamAnswerReader, type AnswerReader, type Report } from './answer-reader.ts';
import { sendError } from '../api/respond.ts';
import { failureOf, type Upstream, type UpstreamController, type UpstreamRequest } from './upstream.ts';

interface Target {
  readonly name: string;
  readonly address: string;
}

/** Where a request goes, and who hears how it went. `Flight` of dispatch is one. */
export interface Route {
  readonly endpoint: Target;
  /** The attempt failed before anything reached the client: where to try next, null when nowhere. */
  retry(
    status: number | null,
    failure: 'connect' | 'reset' | 'timeout' | 'server-error' | 'busy',
    reason: string,
  ): Target | null;
  /** The answer's body (of a stream: its first event) has begun. */
  firstToken(status: number): void;
  /** It is over. */
  finish(ending: { readonly status: number; readonly complete: boolean; readonly reason?: string } & Report): void;
}

interface RelayOptions {
  readonly upstream: Upstream;
  readonly request: UpstreamRequest;
  readonly response: ServerResponse;
  readonly route: Route;
  /** Our own headers on the answer, given who answers. */
  headers(endpoint: Target): Record<string, string>;
  /** Whether a stream's usage was asked for by us and is not for the client. */
  readonly hideUsage: boolean;
  /** Whether the answer's text is kept, to be told at the end. */
  readonly keepText: boolean;
  /** Whether a stream that breaks in the middle is ended with an error event, rather than broken off likewise. */
  readonly explainBreaks: boolean;
  /** What the client is told when no endpoint gave any answer; `last` is the one tried last. */
  unanswered(last: Target, failure: 'connect' | 'reset' | 'timeout', reason: string): SignalboxError;
}

/** An answer that is better got elsewhere, kept to be passed on when there is no elsewhere. */
interface Refusal {
  readonly status: number;
  readonly headers: Record<string, string | string[]>;
  readonly chunks: Buffer[];
}

const largestRefusalBytes = 64 * 1024;
const largestHeldBytes = 1024 * 1024;

/** Sends a request to its endpoint and the answer to the client, trying others until the first byte. */
export function relay(options: RelayOptions): void {
  new Relay(options).start();
}

class Relay {
  readonly #options: RelayOptions;
  #target: Target;
  #controller: UpstreamController | null = null;
  /** The answer's head, held until its body begins. */
  #head: { status: number; headers: Record<string, string | string[]> } | null = null;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #reader: AnswerReader | null = null;
  #filter: EventFilter | null = null;
  #paused = false;
  #refusal: Refusal | null = null;
  #released = false;
  #over = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#target = options.route.endpoint;
  }

  start(): void {
    const { response } = this.#options;
    response.once('close', () => {
      if (!response.writableFinished) this.#clientLeft();
    });
    this.#send();
  }

  #send(): void {
    const { upstream, request } = this.#options;
    this.#controller = null;
    this.#head = null;
    this.#held = [];
    this.#heldBytes = 0;
    this.#reader = null;
    this.#filter = null;
    let current = true;
    // What an attempt reports after it was left for another is of no interest.
    const guard = <Args extends unknown[]>(step: (...args: Args) => void) => {
      return (...args: Args): void => {
        if (current && !this.#over) step(...args);
      };
    };
    this.#leaveAttempt = () => {
      current = false;
    };
    let refusal: Refusal | null = null;
    let refusalBytes = 0;
    upstream.send(this.#target.address, request, {
      onRequestStart: (controller: UpstreamController) => {
        if (!current || this.#over) controller.abort(new Error('no longer wanted'));
        else this.#controller = controller;
      },
      onResponseStart: guard((_controller: UpstreamController, status: number, headers) => {
        if (status < 200) return;
        const passed = responseHeaders(headers);
        if (status >= 500 || status === 429) refusal = { status, headers: passed, chunks: [] };
        else this.#hold(status, passed);
      }),
      onResponseData: guard((_controller: UpstreamController, chunk: Buffer) => {
        if (refusal !== null) {
          if ((refusalBytes += chunk.length) <= largestRefusalBytes) refusal.chunks.push(chunk);
        } else {
          this.#data(chunk);
        }
      }),
      onResponseEnd: guard(() => {
        if (refusal !== null) this.#refused(refusal);
        else this.#end();
      }),
      onResponseError: guard((_controller: UpstreamController, error: Error) => {
        if (refusal !== null) this.#refused(refusal);
        else this.#broken(error);
      }),
    });
  }

  #leaveAttempt: () => void = () => undefined;

  #hold(status: number, headers: Record<string, string | string[]>): void {
    this.#head = { status, headers };
    const type = String(headers['content-type'] ?? '');
    const { keepText } = this.#options;
    if (type.startsWith('text/event-stream')) {
      this.#reader = new StreamAnswerReader(keepText);
      if (this.#options.explainBreaks) {
        this.#filter = new EventFilter(this.#options.hideUsage, (bytes) => this.#write(bytes));
        delete headers['content-length'];
      }
    } else if (type.startsWith('application/json')) this.#reader = new JsonAnswerReader(keepText);
  }

  #data(chunk: Buffer): void {
    this.#reader?.push(chunk);
    if (this.#released) {
      this.#pass(chunk);
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#reader instanceof StreamAnswerReader) {
      if (!this.#reader.begun && this.#heldBytes < largestHeldBytes) return;
      const error = this.#reader.firstError;
      if (error !== null && (error.status >= 500 || error.status === 429)) {
        this.#leaveAttempt();
        this.#controller?.abort(new Error('the first event was an error'));
        const headers = { 'content-type': 'application/json' };
        this.#refused({ status: error.status, headers, chunks: [Buffer.from(error.body)] });
        return;
      }
    }
    this.#release();
  }

  /** From here on the client has something, and no other endpoint can take over. */
  #release(): void {
    const { response, route } = this.#options;
    const { status, headers } = this.#head!;
    this.#released = true;
    route.firstToken(status);
    response.writeHead(status, { ...headers, ...this.#options.headers(this.#target) });
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.#pass(chunk);
  }

  #pass(chunk: Buffer): void {
    if (this.#filter === null) this.#write(chunk);
    else this.#filter.push(chunk);
  }

  #write(bytes: Buffer): void {
    const { response } = this.#options;
    if (response.write(bytes) || this.#paused) return;
    this.#paused = true;
    this.#controller?.pause();
    response.once('drain', () => {
      this.#paused = false;
      this.#controller?.resume();
    });
  }

  #end(): void {
    if (!this.#released) this.#release();
    this.#filter?.end();
    this.#options.response.end();
    const errorStatus = this.#reader instanceof StreamAnswerReader ? this.#reader.errorStatus : null;
    if (errorStatus === null) this.#finish(this.#head!.status, this.#head!.status < 400);
    else this.#finish(errorStatus, false, 'an error in mid-answer');
  }

  /** The endpoint answered that it cannot: perhaps another can. */
  #refused(refusal: Refusal): void {
    this.#refusal = refusal;
    const { status } = refusal;
    const busy = status === 429 || status === 503;
    const next = this.#options.route.retry(status, busy ? 'busy' : 'server-error', busy ? 'busy' : 'server error');
    if (next === null) this.#passOn(refusal);
    else this.#tryNext(next);
  }

  /** The connection failed. */
  #broken(error: Error): void {
    const { failure, reason } = failureOf(error);
    if (this.#released) {
      this.#cut(reason);
      return;
    }
    const last = this.#target;
    const next = this.#options.route.retry(null, failure, reason);
    if (next !== null) {
      this.#tryNext(next);
    } else if (this.#refusal !== null) {
      this.#passOn(this.#refusal);
    } else {
      this.#fail(this.#options.unanswered(last, failure, reason));
    }
  }

  #tryNext(next: Target): void {
    this.#leaveAttempt();
    this.#target = next;
    this.#send();
  }

  #passOn({ status, headers, chunks }: Refusal): void {
    const body = Buffer.concat(chunks);
    if (body.length === 0) {
      const code = status === 429 ? 'saturated' : status === 503 ? 'no_endpoint' : 'endpoint_failed';
      const message = `${this.#target.name} answered ${status} without a reason, and no other endpoint could take over.`;
      this.#fail(new SignalboxError(code, message, { retryAfterSeconds: 1 }));
      return;
    }
    const retryAfter = status === 429 || status === 503 ? { 'retry-after': '1' } : {};
    const length = { 'content-length': String(body.length) };
    const own = this.#options.headers(this.#target);
    this.#options.response.writeHead(status, { ...retryAfter, ...headers, ...length, ...own });
    this.#options.response.end(body);
    this.#finish(status, false);
  }

  #fail(error: SignalboxError): void {
    sendError(this.#options.response, error, this.#options.headers(this.#target));
    this.#finish(error.status, false);
  }

  /** The endpoint was lost in the middle of its answer. */
  #cut(reason: string): void {
    const { response } = this.#options;
    if (this.#options.explainBreaks && this.#reader instanceof StreamAnswerReader) {
      this.#filter?.break();
      const message = `${this.#target.name} was lost in the middle of its answer: ${reason}.`;
      response.end(errorEvent(new SignalboxError('endpoint_failed', message)));
    } else {
      // The head promised more than came: a cut connection says so.
      response.destroy();
    }
    this.#finish(502, false, `lost in mid-answer: ${reason}`);
  }

  #clientLeft(): void {
    if (this.#over) return;
    this.#finish(499, false, 'the client left');
    this.#controller?.abort(new Error('the client left'));
  }

  #finish(status: number, complete: boolean, reason?: string): void {
    if (this.#over) return;
    this.#over = true;
    const report = this.#reader?.report() ?? noReport;
    this.#options.route.finish({ status, complete, ...report, ...(reason === undefined ? {} : { reason }) });
  }
}

import { errorEvent, errorResponse } from '../api/errors.ts';
import { SignalboxError } from '../base/errors.ts';
import { noReport, type Report } from './answer-reader.ts';
import { Attempt, type AnswerHead, type AttemptFailure, type Refusal, type Target } from './attempt.ts';
import type { ClientResponse } from './exchange.ts';
import { ContinuedStream, SeamError } from './continued-stream.ts';
import { Continuation } from './continuation.ts';
import { countTokens } from './count-tokens.ts';
import { EventFilter } from './event-filter.ts';
import { Seam } from './seam.ts';
import { StreamSoFar } from './stream-so-far.ts';
import type { TransportFailure, Sender, UpstreamRequest } from './upstream.ts';

/** Where a request goes, and who hears how it went. `Flight` of dispatch is one. */
export interface Route {
  readonly endpoint: Target;
  /**
   * The attempt came to nothing, or broke after `saidTokens` of its answer had reached the client: where to try next,
   * null when nowhere.
   */
  retry(status: number | null, failure: AttemptFailure, reason: string, saidTokens: number): Target | null;
  /** The answer's body (of a stream: its first event) has begun; once for each attempt that answers. */
  firstToken(status: number): void;
  /** Another piece of a streamed answer has come. */
  more?(): void;
  /** Called a few times a second while an answer is awaited: a reason to give its endpoint up, null to wait. */
  looked?(heardAtMs: number, silentMs: number): string | null;
  /** Whether the current endpoint knows how to go on with a chat's last message. */
  readonly continuesChats?: boolean;
  /** It is over. */
  finish(ending: Ending): void;
}

interface Ending extends Report {
  readonly status: number;
  readonly complete: boolean;
  readonly reason?: string;
  /** Of the answer's body, sent to the client. */
  readonly answerBytes: number;
}

export interface RelayOptions {
  readonly upstream: Sender;
  readonly request: UpstreamRequest;
  readonly client: ClientResponse;
  readonly route: Route;
  /** Our own headers on the answer, given who answers. */
  headers(endpoint: Target): Record<string, string>;
  /** Whether a stream's usage was asked for by us and is not for the client. */
  readonly hideUsage: boolean;
  /** Whether the answer's text is kept, to be told at the end. */
  readonly keepText: boolean;
  /** Whether a stream that breaks in the middle is ended with an error event, rather than broken off likewise. */
  readonly explainBreaks: boolean;
  /** What a stream that breaks in the middle is continued from elsewhere: the client's request. Null: it is not. */
  readonly continues: { readonly kind: 'completions' | 'chat'; readonly body: Buffer } | null;
  /** What the client is told when no endpoint gave any answer; `last` is the one tried last. */
  unanswered(last: Target, failure: TransportFailure, reason: string): SignalboxError;
}

/** An answer that is being got. */
export interface Relayed {
  /** Stops it and forgets it, as though it had never been sent; false when the client has got something of it. */
  takeBack(): boolean;
}

/** Sends a request to its endpoint and the answer to the client; where that endpoint fails, others in its place. */
export function relay(options: RelayOptions): Relayed {
  const running = new Relay(options);
  running.start();
  return running;
}

class Relay {
  readonly #options: RelayOptions;
  readonly #soFar: StreamSoFar | null;
  #target: Target;
  #attempt: Attempt | null = null;
  #refusal: Refusal | null = null;
  /** The head that the client got; null while another endpoint may still answer from the start. */
  #head: AnswerHead | null = null;
  #filter: EventFilter | null = null;
  /** Of a stream that broke: how it is gone on with, and what comes of that. */
  #continuation: Continuation | null = null;
  #continued: ContinuedStream | null = null;
  /** Why the stream broke last. */
  #broken = '';
  /** Whether the current attempt has begun to answer. */
  #answering = false;
  #paused = false;
  #answerBytes = 0;
  #over = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#target = options.route.endpoint;
    this.#soFar = options.keepText || options.continues !== null ? new StreamSoFar() : null;
  }

  start(): void {
    this.#options.client.onceLeft(() => this.#clientLeft());
    this.#send(this.#options.request);
  }

  takeBack(): boolean {
    if (this.#over || this.#head !== null) return false;
    this.#over = true;
    this.#attempt?.leave();
    return true;
  }

  #send(request: UpstreamRequest): void {
    const { upstream, keepText, route } = this.#options;
    this.#answering = false;
    // What continues a stream is read once it has been joined to it.
    const soFar = this.#head === null ? this.#soFar : null;
    this.#attempt = new Attempt(
      this.#target,
      { upstream, request, keepText, soFar },
      {
        refused: (refusal) => this.#refused(refusal),
        began: (head) => {
          this.#answering = true;
          if (this.#head === null) this.#begin(head);
          else this.#goOn(head);
        },
        data: (chunk, error, textRuns) => this.#data(chunk, error, textRuns),
        ended: () => this.#ended(),
        lost: (failure, reason) => this.#lost(null, failure, reason),
        looked: (heardAtMs, silentMs) => route.looked?.(heardAtMs, silentMs) ?? null,
      },
    );
  }

  /** From here on the client has something, and another endpoint can only go on from there. */
  #begin(head: AnswerHead): void {
    const { client, route, explainBreaks, hideUsage } = this.#options;
    this.#head = head;
    if (this.#attempt!.streams && explainBreaks) {
      this.#filter = new EventFilter(hideUsage, (bytes) => this.#write(bytes));
      delete head.headers['content-length'];
    }
    route.firstToken(head.status);
    client.writeHead(head.status, { ...head.headers, ...this.#options.headers(this.#target) });
  }

  /** Another endpoint has begun to answer with the rest. */
  #goOn({ status }: AnswerHead): void {
    this.#options.route.firstToken(status);
    if (this.#paused) this.#attempt!.pause();
    if (status === 200 && this.#attempt!.streams) return;
    this.#attempt!.leave();
    this.#cut(`${this.#broken}, and ${this.#target.name} would not go on with it (${status})`);
  }

  #data(chunk: Buffer, error: string | null, textRuns: readonly number[]): void {
    if (this.#attempt!.streams) this.#options.route.more?.();
    const filter = this.#filter;
    if (error !== null && this.#options.continues !== null && filter !== null) {
      if (this.#continued === null) filter.pushUntilError(chunk);
      else this.#pushContinued(chunk);
      if (this.#over) return;
      this.#attempt!.leave();
      this.#lost(502, 'server-error', `the engine said: ${error}`);
    } else if (this.#continued !== null) this.#pushContinued(chunk);
    else if (filter === null) this.#write(chunk);
    else filter.push(chunk, textRuns);
  }

  #pushContinued(chunk: Buffer): void {
    try {
      this.#continued!.push(chunk);
    } catch (error) {
      if (!(error instanceof SeamError)) throw error;
      this.#attempt!.leave();
      this.#cut(`${this.#broken}, and ${error.message}`);
    }
  }

  #write(bytes: Buffer): void {
    const { client } = this.#options;
    this.#answerBytes += bytes.length;
    if (client.write(bytes) || this.#paused) return;
    this.#paused = true;
    this.#attempt?.pause();
    client.onceDrained(() => {
      this.#paused = false;
      this.#attempt?.resume();
    });
  }

  #ended(): void {
    const attempt = this.#attempt!;
    if (this.#options.continues !== null && !attempt.cameToItsEnd) {
      this.#lost(null, 'reset', 'its answer stopped short');
      return;
    }
    this.#filter?.end();
    this.#options.client.end();
    const status = attempt.errorStatus;
    if (status === null) this.#finish(this.#head!.status, this.#head!.status < 400);
    else this.#finish(status, false, 'an error in mid-answer');
  }

  /** The endpoint answered that it cannot: perhaps another can. */
  #refused(refusal: Refusal): void {
    const { status } = refusal;
    const busy = status === 429 || status === 503;
    if (this.#head === null) this.#refusal = refusal;
    this.#lost(status, busy ? 'busy' : 'server-error', busy ? 'busy' : 'server error');
  }

  /** The attempt is over without its answer's end. */
  #lost(status: number | null, failure: AttemptFailure, reason: string): void {
    if (this.#head !== null) {
      this.#continue(status, failure, reason);
      return;
    }
    const last = this.#target;
    const next = this.#options.route.retry(status, failure, reason, 0);
    if (next !== null) {
      this.#target = next;
      this.#send(this.#options.request);
    } else if (this.#refusal !== null) {
      this.#passOn(this.#refusal);
    } else {
      this.#fail(this.#options.unanswered(last, failure as TransportFailure, reason));
    }
  }

  /** The stream broke: asks another endpoint for the rest of it, or says why that cannot be. */
  #continue(status: number | null, failure: AttemptFailure, reason: string): void {
    const { continues, route, hideUsage } = this.#options;
    const soFar = this.#soFar;
    if (this.#answering) this.#broken = `${this.#target.name} was lost in the middle of its answer: ${reason}`;
    if (continues === null || this.#filter === null || soFar === null) return this.#cut(this.#broken, reason);
    if (!this.#filter.break()) return this.#cut(`${this.#broken}, in the middle of a long event`, reason);
    if (soFar.finishReason !== null && hideUsage) return this.#close();
    this.#continuation ??= new Continuation(continues.kind, continues.body);
    const against = this.#continuation.reasonAgainst(soFar);
    const stays = `${this.#broken}, and it cannot go on elsewhere`;
    if (against !== null) return this.#cut(`${stays}: ${against}`, reason);
    const next = route.retry(status, failure, reason, soFar.choiceEvents);
    if (next === null) return this.#cut(`${stays}: no other endpoint can take over`, reason);
    if (continues.kind === 'chat' && route.continuesChats === false) {
      return this.#cut(`${stays}: ${next.name} does not know how to go on with a message`, reason);
    }
    this.#target = next;
    this.#ask(this.#continuation, soFar);
  }

  /** Asks the endpoint for the rest, once the tokens of what was said are known. */
  #ask(continuation: Continuation, soFar: StreamSoFar): void {
    const { upstream, request } = this.#options;
    const send = (tokens: Parameters<Continuation['rest']>[1]): void => {
      if (this.#over) return;
      const rest = continuation.rest(soFar, tokens);
      if (rest === null) return this.#cut(`${this.#broken}, and what was said cannot be put into tokens`);
      const seam = new Seam(soFar.text.said, continuation.stops, rest.isTrimmed);
      this.#continued = new ContinuedStream(soFar, rest, seam, (event) => this.#filter!.push(event));
      this.#send({ ...request, body: rest.body });
    };
    const text = continuation.uncounted(soFar);
    if (text === null) send(null);
    else countTokens(upstream, this.#target.address, request.headers, continuation.model, text, send);
  }

  /** Everything was said but the stream's own end. */
  #close(): void {
    this.#options.client.end('data: [DONE]\n\n');
    this.#finish(this.#head!.status, true);
  }

  #passOn({ status, headers, body }: Refusal): void {
    if (body.length === 0) {
      const code = status === 429 ? 'saturated' : status === 503 ? 'no_endpoint' : 'endpoint_failed';
      const message = `${this.#target.name} answered ${status} without a reason, and no other endpoint could take over.`;
      this.#fail(new SignalboxError(code, message, { retryAfterSeconds: 1 }));
      return;
    }
    const { client } = this.#options;
    const retryAfter = status === 429 || status === 503 ? { 'retry-after': '1' } : {};
    const length = { 'content-length': String(body.length) };
    client.writeHead(status, { ...retryAfter, ...headers, ...length, ...this.#options.headers(this.#target) });
    client.end(body);
    this.#answerBytes = body.length;
    this.#finish(status, false);
  }

  #fail(error: SignalboxError): void {
    const { status, headers, body } = errorResponse(error);
    this.#options.client.writeHead(status, { ...headers, ...this.#options.headers(this.#target) });
    this.#options.client.end(body);
    this.#finish(error.status, false);
  }

  /** The answer ends here, in its middle. */
  #cut(message: string, reason = message): void {
    const { client, explainBreaks } = this.#options;
    if (explainBreaks && this.#filter !== null && this.#filter.break()) {
      client.end(errorEvent(new SignalboxError('endpoint_failed', `${message}.`)));
    } else {
      // The head promised more than came: a cut connection says so.
      client.destroy();
    }
    this.#finish(502, false, `lost in mid-answer: ${reason}`);
  }

  #clientLeft(): void {
    if (this.#over) return;
    this.#finish(499, false, 'the client left');
    this.#attempt?.leave();
  }

  #finish(status: number, complete: boolean, reason?: string): void {
    if (this.#over) return;
    this.#over = true;
    const report = this.#report();
    const answerBytes = this.#answerBytes;
    this.#options.route.finish({
      status,
      complete,
      answerBytes,
      ...report,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #report(): Report {
    const report = this.#attempt?.report() ?? noReport;
    if (this.#continued === null) return report;
    return { ...(this.#continued.usage ?? noReport), text: this.#soFar!.text.text };
  }
}

/** What is learned of an endpoint from its failures, and from asking it: whether to send it more. */
const firstBackOffMs = 200;
/** With nothing left to serve, everybody waits for the first that is back. */
const urgentMs = 40;
/** Asking a port where nobody listens costs little, and whoever starts an engine anew waits for it. */
const longestGoneBackOffMs = 800;
const longestBackOffMs = 5000;
const serverErrorsInARow = 5;
/** Server errors take an endpoint out that answers so many of its requests with one, lately. */
const worstErrorShare = 0.5;
const errorLearningShare = 0.05;
/** An endpoint that is back begins with this, so that it must do well before failures are put up with again. */
const returningErrorShare = 0.4;
/** After so many answers in a row its past failures count no more. */
const answersForgiving = 5;

/**
 * How a request failed: nobody took the connection, it was lost, the answer did not come, the answer was an error of the
 * server's. Or what asking it showed: no answer at all, or one that says that it is not well.
 */
export type Failure = 'connect' | 'reset' | 'timeout' | 'server-error' | 'unresponsive' | 'unhealthy';

/** Failures after which sending more is of no use, whatever else is left. */
const hopeless: ReadonlySet<Failure> = new Set(['connect', 'unresponsive', 'unhealthy']);

/** What asking an endpoint that is out came to. */
export type ProbeResult = 'well' | 'unhealthy' | 'refused' | 'silent';

const failureOfProbe = { unhealthy: 'unhealthy', refused: 'connect', silent: 'unresponsive' } as const;

export class Health {
  #out: Failure | null = null;
  #sinceMs = 0;
  #strikes = 0;
  #serverErrors = 0;
  #errorShare = 0;
  #lost = 0;
  #answers = 0;
  #probeAtMs = 0;
  #probedAtMs = 0;

  get up(): boolean {
    return this.#out === null;
  }

  /** Why it is out; null when it is not. */
  get out(): Failure | null {
    return this.#out;
  }

  /** When it went out, on the clock of whoever told. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Whether something may still come of sending it requests. */
  get alive(): boolean {
    return this.#out === null || !hopeless.has(this.#out);
  }

  /** Whether it answers nothing at all, so that nothing more will come of what is on its way there. */
  get gone(): boolean {
    return this.#out === 'connect' || this.#out === 'unresponsive';
  }

  /** True when this failure is one that takes the endpoint out. A busy answer (429, 503) is no failure. */
  failed(failure: Failure, nowMs: number): boolean {
    this.#answers = 0;
    if (this.#out !== null) {
      // What is worse is known from now on; a request that failed late tells nothing new.
      if (hopeless.has(failure) && !hopeless.has(this.#out)) this.#out = failure;
      return false;
    }
    if (failure === 'server-error') {
      this.#errorShare += errorLearningShare * (1 - this.#errorShare);
      this.#serverErrors += 1;
      if (this.#serverErrors < serverErrorsInARow && this.#errorShare < worstErrorShare) return false;
    }
    // One may be a connection that went stale, or one request's own fault; two in a row are the engine's.
    if ((failure === 'reset' || failure === 'timeout') && ++this.#lost < 2) return false;
    this.#takeOut(failure, nowMs);
    return true;
  }

  #takeOut(failure: Failure, nowMs: number): void {
    this.#out = failure;
    this.#sinceMs = nowMs;
    this.#strikes += 1;
    this.#probedAtMs = nowMs;
    this.#probeAtMs = nowMs + this.#backOffMs();
  }

  /** Others saw it fail, and took it out. True when that is news; asking it brings it back as if we had seen it ourselves. */
  told(failure: Failure, nowMs: number): boolean {
    if (this.#out !== null) return false;
    this.#takeOut(failure, nowMs);
    return true;
  }

  /** An answer came. */
  succeeded(): void {
    this.#out = null;
    this.#lost = 0;
    this.#serverErrors = 0;
    this.#errorShare -= errorLearningShare * this.#errorShare;
    if (++this.#answers >= answersForgiving) this.#strikes = 0;
  }

  /** Whether it is time to ask an endpoint that is out; `urgent` when no other is left to serve. */
  probeIsDue(nowMs: number, urgent: boolean): boolean {
    if (this.#out === null) return false;
    return nowMs >= this.#probeAtMs || (urgent && nowMs >= this.#probedAtMs + urgentMs);
  }

  probed(result: ProbeResult, nowMs: number): void {
    this.#probedAtMs = nowMs;
    if (this.#out === null) return;
    if (result === 'well') {
      // A process that was gone has begun anew: nothing is known against it.
      if (this.#out === 'connect') this.#strikes = 0;
      // Else strikes stay until it has answered, so that one that only answers probes waits longer each time.
      this.#out = null;
      this.#lost = 1;
      this.#serverErrors = serverErrorsInARow - 1;
      this.#errorShare = returningErrorShare;
      return;
    }
    this.#out = failureOfProbe[result];
    this.#strikes += 1;
    this.#probeAtMs = nowMs + this.#backOffMs();
  }

  #backOffMs(): number {
    const longest = this.alive ? longestBackOffMs : longestGoneBackOffMs;
    return Math.min(longest, firstBackOffMs * 2 ** Math.max(0, this.#strikes - 1));
  }
}

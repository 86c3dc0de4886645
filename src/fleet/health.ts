/** Passive health of one endpoint: what its failures say about sending it more. */
const firstBackOffMs = 200;
const longestBackOffMs = 5000;
const serverErrorsInARow = 5;

export type Failure = 'connect' | 'reset' | 'timeout' | 'server-error';

export class Health {
  #strikes = 0;
  #serverErrors = 0;
  #downSinceMs: number | null = null;
  #probeAtMs = 0;

  get up(): boolean {
    return this.#downSinceMs === null;
  }

  /** True when this failure is the one that takes the endpoint out. A busy answer (429, 503) is no failure. */
  failed(failure: Failure, nowMs: number): boolean {
    if (failure === 'server-error' && ++this.#serverErrors < serverErrorsInARow) return false;
    // One reset can be a connection that went stale; a port that refuses, or a second reset, is an engine that is gone.
    if (failure === 'reset' && this.#strikes++ === 0) return false;
    if (!this.up) return false;
    this.#downSinceMs = nowMs;
    this.#strikes++;
    this.#probeAtMs = nowMs + this.#backOffMs();
    return true;
  }

  /** An answer came: everything is forgiven. */
  succeeded(): void {
    this.#strikes = 0;
    this.#serverErrors = 0;
    this.#downSinceMs = null;
  }

  /** Whether it is time to ask a downed endpoint again; `urgent` when no other is left to serve. */
  probeIsDue(nowMs: number, urgent: boolean): boolean {
    if (this.#downSinceMs === null) return false;
    return nowMs >= this.#probeAtMs || (urgent && nowMs >= this.#downSinceMs + firstBackOffMs);
  }

  probed(answered: boolean, nowMs: number): void {
    if (answered) {
      this.#downSinceMs = null;
      // Strikes stay until a request succeeds, so that one that only answers probes waits longer each time.
      this.#serverErrors = serverErrorsInARow - 1;
      return;
    }
    this.#strikes++;
    this.#probeAtMs = nowMs + this.#backOffMs();
  }

  #backOffMs(): number {
    return Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.max(0, this.#strikes - 1));
  }
}

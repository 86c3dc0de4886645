/** Observations fade with this time constant. */
const memorySeconds = 15;
/** The first guess counts like so many seconds of observation. */
const guessSeconds = 2;

/** How fast waiting requests are being placed: seconds of prefill a second, while any wait. */
export class DrainRate {
  #prefillSeconds = 0;
  #seconds = 0;
  #sinceMs: number | null = null;

  /** Something waits from here on, or nothing any more. */
  waiting(any: boolean, nowMs: number): void {
    this.#pass(nowMs);
    this.#sinceMs = any ? nowMs : null;
  }

  placed(prefillSeconds: number, nowMs: number): void {
    this.#pass(nowMs);
    this.#prefillSeconds += prefillSeconds;
  }

  /**
   * In how many seconds so much prefill will have been placed; NaN while nothing tells. `guess`: the rate to believe
   * where little was seen yet.
   */
  secondsFor(prefillSeconds: number, guess: number): number {
    const rate = (this.#prefillSeconds + guess * guessSeconds) / (this.#seconds + guessSeconds);
    return rate > 0 ? prefillSeconds / rate : NaN;
  }

  #pass(nowMs: number): void {
    if (this.#sinceMs === null) return;
    const seconds = (nowMs - this.#sinceMs) / 1000;
    this.#sinceMs = nowMs;
    const kept = Math.exp(-seconds / memorySeconds);
    this.#prefillSeconds *= kept;
    this.#seconds = this.#seconds * kept + seconds;
  }
}

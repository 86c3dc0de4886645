/** Tries that each request allows beyond its own, on average. */
const triesPerRequest = 0.5;
/** And so many at once beyond one for each request in flight, from the start. */
const reserve = 100;

/**
 * How often requests may be tried again, over all of them: a pool that is overloaded as a whole must not be given several
 * times its load for it. One endpoint's loss is always affordable, for each request in flight may be tried once more.
 */
export class RetryBudget {
  #left = reserve;
  #refused = 0;

  /** Tries that were refused so far. */
  get refused(): number {
    return this.#refused;
  }

  /** A request was placed, while `inFlight` are on their way. */
  placed(inFlight: number): void {
    this.#left = Math.min(this.#left + triesPerRequest, reserve + inFlight);
  }

  /** Whether one more try may reach an engine; counted if so. */
  take(): boolean {
    if (this.#left < 1) {
      this.#refused += 1;
      return false;
    }
    this.#left -= 1;
    return true;
  }
}

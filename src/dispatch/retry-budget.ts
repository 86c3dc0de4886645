/** Tries that each request allows beyond its own, on average. */
const triesPerRequest = 0.5;
/** And so many at once beyond one for each request in flight, from the start. */
const reserve = 100;

/** Counts by name. */
type Counts = Map<string, number>;

/**
 * How often requests may be tried again, over all of them: a pool that is overloaded as a whole must not be given several
 * times its load for it. One endpoint's loss is always affordable, for each request in flight may be tried once more.
 */
export class RetryBudget {
  #left = reserve;
  #refused = 0;
  /** Tries elsewhere so far, by what was wrong: before anything had been answered, and of streams that had broken. */
  readonly retries: Counts = new Map();
  readonly continuations: Counts = new Map();

  /** Tries that were refused so far. */
  get refused(): number {
    return this.#refused;
  }

  /** A request was placed, while `inFlight` are on their way. */
  placed(inFlight: number): void {
    this.#left = Math.min(this.#left + triesPerRequest, reserve + inFlight);
  }

  /** A request goes elsewhere because of `reason`; it `continues` what the client has of its answer. */
  triedAgain(reason: string, continues: boolean): void {
    const counts = continues ? this.continuations : this.retries;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
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

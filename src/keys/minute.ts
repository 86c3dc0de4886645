const bucketMs = 500;
/** The one that is being filled, and those of the whole minute before it. */
const buckets = 60_000 / bucketMs + 1;

/** How much came within the last minute, in half-seconds: never less than what really did. */
export class Minute {
  readonly #counts = new Float64Array(buckets);
  #total = 0;
  /** The half-second that is being filled, counted since the clock's zero. */
  #now = 0;

  total(nowMs: number): number {
    this.#advance(nowMs);
    return this.#total;
  }

  /** Gives the half-second that it was counted in, for `correct`. */
  add(nowMs: number, amount: number): number {
    this.#advance(nowMs);
    this.#counts[this.#now % buckets]! += amount;
    this.#total += amount;
    return this.#now;
  }

  /** What was added in that half-second was `by` more, or less. What has left the minute stays as it was. */
  correct(halfSecond: number, by: number, nowMs: number): void {
    this.#advance(nowMs);
    if (this.#now - halfSecond >= buckets) return;
    this.#counts[halfSecond % buckets]! += by;
    this.#total += by;
  }

  /** Seconds until `amount` of what is counted will have left; 60 when that is more than there is. */
  secondsUntilLess(amount: number, nowMs: number): number {
    this.#advance(nowMs);
    let left = 0;
    for (let ago = buckets - 1; ago >= 0; ago--) {
      left += this.#counts[(this.#now - ago + buckets) % buckets]!;
      if (left >= amount) return ((this.#now - ago + buckets) * bucketMs - nowMs) / 1000;
    }
    return 60;
  }

  #advance(nowMs: number): void {
    const now = Math.floor(nowMs / bucketMs);
    const passed = Math.min(now - this.#now, buckets);
    for (let i = 1; i <= passed; i++) {
      const at = (this.#now + i) % buckets;
      this.#total -= this.#counts[at]!;
      this.#counts[at] = 0;
    }
    if (passed === buckets) this.#total = 0;
    if (now > this.#now) this.#now = now;
  }
}

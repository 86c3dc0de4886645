/** How long work that comes in any amount may keep others waiting, all of it together. */
const shareMs = 2;

/**
 * The event loop's present turn, of which work that can wait takes no more than a share: whoever has much of it looks at
 * `isSpent` now and then, and leaves the rest for `later`. What waits goes on in the order in which it came.
 */
class Turn {
  readonly #waiting: (() => void)[] = [];
  /** When work began to take from this turn; null while none has. */
  #beganMs: number | null = null;

  get isSpent(): boolean {
    const nowMs = performance.now();
    if (this.#beganMs === null) this.#begin(nowMs);
    return nowMs - this.#beganMs! >= shareMs;
  }

  /** Does the step in one of the next turns. */
  later(step: () => void): void {
    this.#waiting.push(step);
    if (this.#beganMs === null) this.#begin(performance.now());
  }

  #begin(nowMs: number): void {
    this.#beganMs = nowMs;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#beganMs = null;
    for (let steps = this.#waiting.length; steps > 0 && !this.isSpent; steps--) this.#waiting.shift()!();
    if (this.#waiting.length > 0 && this.#beganMs === null) this.#begin(performance.now());
  };
}

/** The process's only one. */
export const turn = new Turn();

import type { Clock, Timer } from '../base/clock.ts';

const firstRetryMs = 500;
const longestRetryMs = 60_000;

/**
 * Keys to work on: each at most once in the queue and once at work. Work that throws is tried again, later each time; a key that is
 * added while it is at work comes again afterwards.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #workers: number;
  readonly #work: (key: string) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  readonly #retries = new Map<string, { failures: number; timer: Timer }>();
  #closed = false;

  constructor(clock: Clock, workers: number, work: (key: string) => Promise<void>) {
    this.#clock = clock;
    this.#workers = workers;
    this.#work = work;
  }

  /** Keys that wait, are at work or are to be tried again. */
  get size(): number {
    return new Set([...this.#waiting, ...this.#working, ...this.#retries.keys()]).size;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#waiting.add(key);
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    for (const { timer } of this.#retries.values()) timer.cancel();
    this.#retries.clear();
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#working.size >= this.#workers) return;
      if (this.#working.has(key)) continue;
      this.#waiting.delete(key);
      this.#working.add(key);
      const failures = this.#retries.get(key)?.failures ?? 0;
      this.#retries.get(key)?.timer.cancel();
      void this.#work(key).then(
        () => this.#done(key, 0),
        () => this.#done(key, failures + 1),
      );
    }
  }

  #done(key: string, failures: number): void {
    this.#working.delete(key);
    this.#retries.delete(key);
    if (this.#closed) return;
    if (failures > 0) {
      const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** (failures - 1));
      this.#retries.set(key, { failures, timer: this.#clock.after(delayMs, () => this.add(key)) });
    }
    this.#next();
  }
}

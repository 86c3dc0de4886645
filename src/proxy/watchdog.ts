import { Roster, type Rostered } from '../base/roster.ts';

const tickMs = 250;

/** Something awaited that may fall silent. */
interface Watched extends Rostered {
  /** When it was last heard of, by `performance.now()`. */
  readonly heardAtMs: number;
  /** Whether its silence is our own doing. */
  readonly paused: boolean;
  /** Called a few times a second, with how long it has been silent. */
  looked(silentMs: number): void;
}

/** One timer for everything that is awaited: asking a few times a second costs less than a timer for each. */
class Watchdog {
  readonly #watched = new Roster<Watched>();
  #timer: NodeJS.Timeout | null = null;
  #tickedAtMs = 0;
  /** Before this moment nothing could be heard, for we stood still ourselves. */
  #deafUntilMs = 0;

  /** Watches until `unwatch`. */
  watch(watched: Watched): void {
    this.#watched.add(watched);
    if (this.#timer === null) {
      this.#tickedAtMs = performance.now();
      this.#timer = setInterval(() => this.#tick(), tickMs).unref();
    }
  }

  unwatch(watched: Watched): void {
    this.#watched.delete(watched);
  }

  #tick(): void {
    if (this.#watched.size === 0) {
      clearInterval(this.#timer!);
      this.#timer = null;
      return;
    }
    const nowMs = performance.now();
    // A late tick: this process was stopped or busy, and what came meanwhile is still to be read.
    if (nowMs - this.#tickedAtMs > 2 * tickMs) this.#deafUntilMs = nowMs;
    this.#tickedAtMs = nowMs;
    for (const watched of this.#watched) {
      if (watched.paused || watched.rosterAt < 0) continue;
      watched.looked(nowMs - Math.max(watched.heardAtMs, this.#deafUntilMs));
    }
  }
}

/** The process's only one. */
export const watchdog = new Watchdog();

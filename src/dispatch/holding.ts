import { HoldQueue, type Held } from '../admission/hold.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { HoldRule } from '../scheduler/policy.ts';

/** Why a request is not placed yet. */
export interface Wait {
  /** Where it would go. */
  readonly slot: number;
  /** Prefill queued there. */
  readonly backlogSeconds: number;
  /** What it brings itself. */
  readonly prefillSeconds: number;
}

/** Prefill by slot that held requests further in front are going to bring. */
export type Reserved = ReadonlyMap<number, number>;

/** One that is held, as it stands in the queue. */
interface Waiting<Asked> {
  readonly asked: Asked;
  readonly arrivedAtMs: number;
  /** What it waited for when it was tried last; null when it has not been yet. */
  readonly wait: Wait | null;
}

type TryToPlace<Asked> = (asked: Asked, arrivedAtMs: number, reserved: Reserved) => Wait | null;

/** How many are tried past one that has to wait: others may suit an endpoint with room. */
const lookAhead = 32;
const shortestWaitMs = 5;
const longestWaitMs = 250;

/**
 * Requests held in the gateway, tried again in their order whenever an endpoint has less to do, and after the time that
 * its backlog needs to drain. Bounded; the order and its ageing are `HoldQueue`'s.
 */
export class Holding<Asked> {
  readonly #queue = new HoldQueue<Asked>();
  readonly #clock: Clock;
  /** Places it or turns it away, which ends its waiting, or says what it has to wait for. */
  readonly #tryToPlace: TryToPlace<Asked>;
  readonly #waits = new WeakMap<Held<Asked>, Wait>();
  #timer: Timer | null = null;
  #placing = false;

  constructor(clock: Clock, tryToPlace: TryToPlace<Asked>) {
    this.#clock = clock;
    this.#tryToPlace = tryToPlace;
  }

  get size(): number {
    return this.#queue.size;
  }

  /** The first `limit`, next first. */
  queue(limit: number): Waiting<Asked>[] {
    const length = Math.min(limit, this.#queue.size);
    return Array.from({ length }, (_, position) => {
      const held = this.#queue.at(position)!;
      return { asked: held.item, arrivedAtMs: held.arrivedAtMs, wait: this.#waits.get(held) ?? null };
    });
  }

  hold(asked: Asked, prefillSeconds: number, rule: HoldRule): Held<Asked> {
    return this.#queue.add(asked, this.#clock.nowMs(), prefillSeconds, rule.prefillWeight);
  }

  /** False when it was no longer held. */
  letGo(held: Held<Asked>): boolean {
    return this.#queue.remove(held);
  }

  /**
   * Tries those held in their order; `rule` null lets all of them through. One that has to wait for an endpoint counts
   * there for those behind it, or they would all wait for the same one while others stand idle.
   */
  placeHeld(rule: HoldRule | null): void {
    if (this.#placing || this.#queue.size === 0) return;
    this.#placing = true;
    let soonestMs = Infinity;
    let waiting = 0;
    const reserved = new Map<number, number>();
    let held = this.#queue.at(0);
    try {
      for (; held !== undefined && waiting <= lookAhead; held = this.#queue.at(waiting)) {
        const wait = this.#tryToPlace(held.item, held.arrivedAtMs, reserved);
        if (wait === null) this.#queue.remove(held);
        else {
          waiting += 1;
          this.#waits.set(held, wait);
          reserved.set(wait.slot, (reserved.get(wait.slot) ?? 0) + wait.prefillSeconds);
          soonestMs = Math.min(soonestMs, (wait.backlogSeconds - (rule?.maxPrefillBacklogSeconds ?? 0)) * 1000);
        }
      }
    } catch (error) {
      // Its handler failed: it had its turn, and the others keep theirs.
      if (held !== undefined) this.#queue.remove(held);
      throw error;
    } finally {
      this.#placing = false;
    }
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#queue.size === 0) return;
    const delayMs = Math.min(longestWaitMs, Math.max(shortestWaitMs, soonestMs));
    this.#timer = this.#clock.after(delayMs, () => this.placeHeld(rule));
  }
}

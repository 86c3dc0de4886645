import { Speed } from '../fleet/speed.ts';

/** Speeds learned as ever, but told at once, and rightly, when and how far an engine slows down or recovers. */
export class ToldSpeed extends Speed {
  readonly #learned: Speed;
  readonly #factorOf: (slot: number) => number;

  /** `factorOf` gives how fast the slot's engine is now, as a multiple of what its profile says. */
  constructor(slots: number, factorOf: (slot: number) => number) {
    super(slots);
    this.#learned = new Speed(slots);
    this.#factorOf = factorOf;
  }

  override slowness(slot: number, nowMs: number): number {
    return this.#learned.slowness(slot, nowMs) / this.#factorOf(slot);
  }

  override observePrefill(slot: number, cost: number, seconds: number, nowMs: number): void {
    this.#learned.observePrefill(slot, cost, seconds * this.#factorOf(slot), nowMs);
  }

  override observeAnswer(slot: number, cost: number, seconds: number, nowMs: number): void {
    this.#learned.observeAnswer(slot, cost, seconds * this.#factorOf(slot), nowMs);
  }
}

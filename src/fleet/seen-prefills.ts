/** A prompt that an endpoint was seen to compute. */
export interface SeenPrefill {
  readonly slot: number;
  /** At reference speed. */
  readonly cost: number;
  /** When it was begun, as far as whoever saw it knows. */
  readonly sinceMs: number;
  readonly doneAtMs: number;
}

/**
 * Prompts seen to be computed, in the order in which they were done, whoever sent them: how long each took is known only
 * beside the one before it. Where replicas share, what was seen here waits a moment for what others saw.
 */
export class SeenPrefills {
  readonly #learn: (slot: number, cost: number, seconds: number, atMs: number) => void;
  readonly #doneAtMs: Float64Array;
  #waiting: SeenPrefill[] | null = null;

  constructor(slots: number, learn: (slot: number, cost: number, seconds: number, atMs: number) => void) {
    this.#doneAtMs = new Float64Array(slots).fill(-Infinity);
    this.#learn = learn;
  }

  /** From here on others tell what they saw, and `settle` is called again and again. */
  wait(): void {
    this.#waiting ??= [];
  }

  saw(seen: SeenPrefill): void {
    if (this.#waiting === null) this.#take(seen);
    else this.#waiting.push(seen);
  }

  /** Learns from what nobody will tell anything older of: what others saw comes up to `lateMs` later. */
  settle(nowMs: number, lateMs: number): void {
    const waiting = this.#waiting;
    if (waiting === null || waiting.length === 0) return;
    const settled = waiting.filter(({ doneAtMs }) => doneAtMs <= nowMs - lateMs);
    if (settled.length === 0) return;
    this.#waiting = waiting.filter(({ doneAtMs }) => doneAtMs > nowMs - lateMs);
    for (const seen of settled.sort((one, other) => one.doneAtMs - other.doneAtMs)) this.#take(seen);
  }

  #take({ slot, cost, sinceMs, doneAtMs }: SeenPrefill): void {
    const beforeMs = this.#doneAtMs[slot]!;
    this.#learn(slot, cost, Math.max(0, doneAtMs - Math.max(sinceMs, beforeMs)) / 1000, doneAtMs);
    this.#doneAtMs[slot] = Math.max(beforeMs, doneAtMs);
  }
}

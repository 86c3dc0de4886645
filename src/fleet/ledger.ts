/** What a request brings to an endpoint. */
interface Work {
  readonly promptTokens: number;
  readonly uncachedTokens: number;
  /** Its own prefill at reference speed; 0 when its prompt is computed elsewhere. */
  readonly prefillCost: number;
  /** False when its first token will not be seen, so that only elapsed time tells that its prompt was computed. */
  readonly streaming: boolean;
}

/** One request's place in the ledger, from its pick to its end. */
export interface Entry extends Work {
  readonly slot: number;
  streaming: boolean;
  prefilling: boolean;
  open: boolean;
}

/** Prefill that an endpoint was seen to do: so much work, at reference speed, in so many seconds. */
interface SeenPrefill {
  readonly cost: number;
  readonly seconds: number;
}

/** Prompts sent to one slot and not known to be computed, oldest first: engines take them in that order. */
interface PrefillQueue {
  readonly entries: Entry[];
  cost: number;
  /** When the oldest began to be computed. */
  headSinceMs: number;
}

/** What this router sent to each slot and has not seen end. Exact, and counted in the same step as the pick. */
export class Ledger {
  readonly inFlight: Float64Array;
  readonly queuedPrefillTokens: Float64Array;
  readonly contextTokens: Float64Array;
  /** Requests in flight, over all slots. */
  total = 0;
  readonly #queues: (PrefillQueue | undefined)[] = [];

  constructor(slots: number) {
    this.inFlight = new Float64Array(slots);
    this.queuedPrefillTokens = new Float64Array(slots);
    this.contextTokens = new Float64Array(slots);
  }

  open(slot: number, work: Work, nowMs: number): Entry {
    const entry: Entry = { slot, ...work, prefilling: work.prefillCost > 0, open: true };
    if (entry.prefilling) {
      const queue = (this.#queues[slot] ??= { entries: [], cost: 0, headSinceMs: nowMs });
      if (queue.entries.length === 0) queue.headSinceMs = nowMs;
      queue.entries.push(entry);
      queue.cost += entry.prefillCost;
      this.queuedPrefillTokens[slot]! += entry.uncachedTokens;
    }
    this.inFlight[slot]! += 1;
    this.total += 1;
    this.contextTokens[slot]! += entry.promptTokens;
    return entry;
  }

  /** Its first token was seen: its prompt waits no longer, nor does any unseen one ahead of it. */
  prefilled(entry: Entry, nowMs: number): SeenPrefill | null {
    if (!entry.prefilling) return null;
    const queue = this.#queues[entry.slot]!;
    const seconds = (nowMs - queue.headSinceMs) / 1000;
    let cost = 0;
    while (queue.entries[0] !== entry && queue.entries[0]?.streaming === false) {
      cost += queue.entries[0].prefillCost;
      this.#leave(queue, queue.entries[0]);
    }
    cost += entry.prefillCost;
    this.#leave(queue, entry);
    queue.headSinceMs = nowMs;
    return { cost, seconds };
  }

  /** Its first token will not be seen after all. */
  unseen(entry: Entry): void {
    entry.streaming = false;
  }

  /** The request has ended, however it did. */
  close(entry: Entry, nowMs: number): void {
    if (!entry.open) return;
    entry.open = false;
    if (entry.prefilling) {
      const queue = this.#queues[entry.slot]!;
      const wasHead = queue.entries[0] === entry;
      this.#leave(queue, entry);
      if (wasHead) queue.headSinceMs = nowMs;
    }
    this.inFlight[entry.slot]! -= 1;
    this.total -= 1;
    this.contextTokens[entry.slot]! -= entry.promptTokens;
  }

  /** Seconds of prefill that are still to be done for one request; 0 once its prompt is computed. */
  leftSeconds(entry: Entry, slowness: number, nowMs: number): number {
    if (!entry.prefilling) return 0;
    const queue = this.#queues[entry.slot]!;
    const done = queue.entries[0] === entry ? (nowMs - queue.headSinceMs) / 1000 : 0;
    return Math.max(0, entry.prefillCost * slowness - done);
  }

  /** Prefill work ahead of a new request, at reference speed. */
  queuedCost(slot: number): number {
    return this.#queues[slot]?.cost ?? 0;
  }

  /**
   * Seconds of prefill that the slot has still to do at `slowness` × reference cost; of the one in work only what is
   * left. Lets go of prompts that must be over by now although nothing will be seen of it.
   */
  queuedPrefillSeconds(slot: number, slowness: number, nowMs: number): number {
    const queue = this.#queues[slot];
    if (queue === undefined) return 0;
    for (let head = queue.entries[0]; head !== undefined && !head.streaming; head = queue.entries[0]) {
      const doneAtMs = queue.headSinceMs + head.prefillCost * slowness * 1000;
      if (doneAtMs > nowMs) break;
      this.#leave(queue, head);
      queue.headSinceMs = doneAtMs;
    }
    const head = queue.entries[0];
    if (head === undefined) return 0;
    const done = Math.min(head.prefillCost * slowness, (nowMs - queue.headSinceMs) / 1000);
    return queue.cost * slowness - done;
  }

  #leave(queue: PrefillQueue, entry: Entry): void {
    entry.prefilling = false;
    queue.entries.splice(queue.entries.indexOf(entry), 1);
    // Sums of fractions drift; an empty queue is exactly empty.
    queue.cost = queue.entries.length === 0 ? 0 : queue.cost - entry.prefillCost;
    this.queuedPrefillTokens[entry.slot]! -= entry.uncachedTokens;
  }
}

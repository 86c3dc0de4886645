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

/** What other replicas have on their way to an endpoint. */
export interface Others {
  inFlight: number;
  prefillTokens: number;
  /** Prefill still to be done, at the endpoint's speed and at reference speed. */
  prefillSeconds: number;
  prefillCost: number;
  contextTokens: number;
  /** Prefill done for them since they began to tell, at reference speed. */
  doneCost: number;
}

export const noOthers: Readonly<Others> = {
  inFlight: 0,
  prefillTokens: 0,
  prefillSeconds: 0,
  prefillCost: 0,
  contextTokens: 0,
  doneCost: 0,
};

/** Prefill that an endpoint was seen to do: so much work, at reference speed, in so many seconds. */
interface SeenPrefill {
  readonly cost: number;
  readonly seconds: number;
}

/** Prompts sent to one slot and not known to be computed, oldest first: engines take them in that order. */
interface PrefillQueue {
  readonly entries: Entry[];
  cost: number;
  /** When the oldest began to be computed, or would have without what others had ahead of it. */
  headSinceMs: number;
  /** What others had ahead of it, and what had been done for them by then. */
  aheadSeconds: number;
  othersDoneCost: number;
}

/**
 * What was sent to each slot and has not been seen to end. Of this router exact, and counted in the same step as the
 * pick; of other replicas, where they share, as they last told. The columns have both.
 */
export class Ledger {
  readonly inFlight: Float64Array;
  readonly queuedPrefillTokens: Float64Array;
  readonly contextTokens: Float64Array;
  /** Requests of our own in flight, over all slots. */
  total = 0;
  readonly #queues: (PrefillQueue | undefined)[] = [];
  readonly #others: (Readonly<Others> | undefined)[] = [];
  /** Prefill that was seen to be done, since the start. */
  readonly #doneCost: Float64Array;

  constructor(slots: number) {
    this.inFlight = new Float64Array(slots);
    this.queuedPrefillTokens = new Float64Array(slots);
    this.contextTokens = new Float64Array(slots);
    this.#doneCost = new Float64Array(slots);
  }

  /** What other replicas have there now, all together, in place of what they had. */
  setOthers(slot: number, others: Readonly<Others>): void {
    const before = this.#others[slot] ?? noOthers;
    this.inFlight[slot]! += others.inFlight - before.inFlight;
    this.queuedPrefillTokens[slot]! += others.prefillTokens - before.prefillTokens;
    this.contextTokens[slot]! += others.contextTokens - before.contextTokens;
    this.#others[slot] = others;
  }

  /** What we have there ourselves, to be told to others: the members of `Others`, in order. */
  own(slot: number, slowness: number, nowMs: number): [number, number, number, number, number, number] {
    const others = this.#others[slot] ?? noOthers;
    return [
      this.inFlight[slot]! - others.inFlight,
      this.queuedPrefillTokens[slot]! - others.prefillTokens,
      this.#ownQueuedSeconds(slot, slowness, nowMs),
      this.#queues[slot]?.cost ?? 0,
      this.contextTokens[slot]! - others.contextTokens,
      this.#doneCost[slot]!,
    ];
  }

  open(slot: number, work: Work, nowMs: number): Entry {
    const entry: Entry = { slot, ...work, prefilling: work.prefillCost > 0, open: true };
    if (entry.prefilling) {
      const queue = (this.#queues[slot] ??= {
        ...{ entries: [], cost: 0, headSinceMs: nowMs, aheadSeconds: 0, othersDoneCost: 0 },
      });
      if (queue.entries.length === 0) this.#begin(queue, slot, nowMs, true);
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
    this.#doneCost[entry.slot]! += cost;
    const others = Math.max(0, (this.#others[entry.slot]?.doneCost ?? 0) - queue.othersDoneCost);
    this.#begin(queue, entry.slot, nowMs, false);
    return { cost: cost + others, seconds };
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
      if (wasHead) this.#begin(queue, entry.slot, nowMs, false);
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
    return (this.#queues[slot]?.cost ?? 0) + (this.#others[slot]?.prefillCost ?? 0);
  }

  /**
   * Seconds of prefill that the slot has still to do at `slowness` × reference cost; of the one in work only what is
   * left. Lets go of prompts that must be over by now although nothing will be seen of it.
   */
  queuedPrefillSeconds(slot: number, slowness: number, nowMs: number): number {
    return this.#ownQueuedSeconds(slot, slowness, nowMs) + (this.#others[slot]?.prefillSeconds ?? 0);
  }

  #ownQueuedSeconds(slot: number, slowness: number, nowMs: number): number {
    const queue = this.#queues[slot];
    if (queue === undefined) return 0;
    for (let head = queue.entries[0]; head !== undefined && !head.streaming; head = queue.entries[0]) {
      const doneAtMs = queue.headSinceMs + (queue.aheadSeconds + head.prefillCost * slowness) * 1000;
      if (doneAtMs > nowMs) break;
      this.#leave(queue, head);
      this.#doneCost[slot]! += head.prefillCost;
      this.#begin(queue, slot, doneAtMs, false);
    }
    const head = queue.entries[0];
    if (head === undefined) return 0;
    const sinceSeconds = Math.max(0, (nowMs - queue.headSinceMs) / 1000 - queue.aheadSeconds);
    const done = Math.min(head.prefillCost * slowness, sinceSeconds);
    return queue.cost * slowness - done;
  }

  /** The oldest is another one. Engines take prompts as they come: one that finds none of ours is behind all of theirs. */
  #begin(queue: PrefillQueue, slot: number, atMs: number, isAlone: boolean): void {
    const others = this.#others[slot];
    queue.headSinceMs = atMs;
    queue.aheadSeconds = isAlone ? (others?.prefillSeconds ?? 0) : 0;
    queue.othersDoneCost = others?.doneCost ?? 0;
  }

  #leave(queue: PrefillQueue, entry: Entry): void {
    entry.prefilling = false;
    queue.entries.splice(queue.entries.indexOf(entry), 1);
    // Sums of fractions drift; an empty queue is exactly empty.
    queue.cost = queue.entries.length === 0 ? 0 : queue.cost - entry.prefillCost;
    this.queuedPrefillTokens[entry.slot]! -= entry.uncachedTokens;
  }
}

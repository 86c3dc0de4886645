import type { SharedRows } from '../base/shared-rows.ts';

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
  readonly placedAtMs: number;
  streaming: boolean;
  prefilling: boolean;
  open: boolean;
}

/** What other replicas have on their way to an endpoint. */
export interface Others {
  inFlight: number;
  prefillTokens: number;
  /** Prefill still to be done at reference speed, begun or not. */
  prefillCost: number;
  contextTokens: number;
  /** Their oldest prompt that is not computed, and when it was placed; Infinity when there is none. */
  headCost: number;
  headPlacedAtMs: number;
  /** When the last prompt of theirs was computed; -Infinity: none yet. */
  doneAtMs: number;
}

export const noOthers: Readonly<Others> = {
  inFlight: 0,
  prefillTokens: 0,
  prefillCost: 0,
  contextTokens: 0,
  headCost: 0,
  headPlacedAtMs: Infinity,
  doneAtMs: -Infinity,
};

/** What two have on their way there, together. */
export function together(left: Readonly<Others>, right: Readonly<Others>): Others {
  const { headCost, headPlacedAtMs } = left.headPlacedAtMs <= right.headPlacedAtMs ? left : right;
  return {
    inFlight: left.inFlight + right.inFlight,
    prefillTokens: left.prefillTokens + right.prefillTokens,
    prefillCost: left.prefillCost + right.prefillCost,
    contextTokens: left.contextTokens + right.contextTokens,
    ...{ headCost, headPlacedAtMs },
    doneAtMs: Math.max(left.doneAtMs, right.doneAtMs),
  };
}

/** Prefill that an endpoint was seen to do: so much work, at reference speed, and when it was begun. */
interface SeenPrefill {
  readonly cost: number;
  readonly sinceMs: number;
}

/** Prompts sent to one slot and not known to be computed, oldest first: engines take them in that order. */
interface PrefillQueue {
  readonly entries: Entry[];
  cost: number;
}

/** Numbers that a thread tells the others of its own requests at a slot: the members of `Others`, in order. */
export const siblingWidth = Object.keys(noOthers).length;

/**
 * What was sent to each slot and has not been seen to end. Of this router exact, and counted in the same step as the
 * pick, by whichever of its threads (`siblings`); of other replicas, where they share, as they last told. The columns
 * have all of it.
 */
export class Ledger {
  readonly inFlight: Float64Array;
  readonly queuedPrefillTokens: Float64Array;
  readonly contextTokens: Float64Array;
  /** Requests of our own in flight, over all slots. */
  total = 0;
  readonly #queues: (PrefillQueue | undefined)[] = [];
  /** What replicas have told, and that with what the other threads have. */
  readonly #told: (Readonly<Others> | undefined)[] = [];
  readonly #others: (Readonly<Others> | undefined)[] = [];
  readonly #siblings: SharedRows | null;
  /** Of each slot, the changes of other threads that the columns have. */
  readonly #seenChanges: Int32Array;
  /** When a prompt of our own was last computed, or given up while it was. */
  readonly #doneAtMs: Float64Array;

  /** `siblings`: where the threads that serve with this one have theirs. */
  constructor(slots: number, siblings: SharedRows | null = null) {
    this.#siblings = siblings;
    this.#seenChanges = new Int32Array(slots);
    this.inFlight = new Float64Array(slots);
    this.queuedPrefillTokens = new Float64Array(slots);
    this.contextTokens = new Float64Array(slots);
    this.#doneAtMs = new Float64Array(slots).fill(-Infinity);
  }

  /** What other replicas have there now, all together, in place of what they had. */
  setOthers(slot: number, others: Readonly<Others>): void {
    this.#told[slot] = others;
    if (this.#siblings === null) this.#replaceOthers(slot, others);
    else this.#readSiblings(slot, this.#siblings);
  }

  /** Takes in what the other threads have there by now. */
  refresh(slot: number): void {
    const siblings = this.#siblings;
    if (siblings !== null && siblings.changesAt(slot) !== this.#seenChanges[slot]) this.#readSiblings(slot, siblings);
  }

  #readSiblings(slot: number, siblings: SharedRows): void {
    // Before the rows: what changes while they are read is read again.
    this.#seenChanges[slot] = siblings.changesAt(slot);
    let sum = this.#told[slot] ?? noOthers;
    siblings.readOthers(
      slot,
      ([inFlight, prefillTokens, prefillCost, contextTokens, headCost, placedAtMs, doneAtMs]) => {
        // A row that nobody has written yet is all zero.
        const headPlacedAtMs = headCost === 0 ? Infinity : placedAtMs!;
        const levels = { inFlight: inFlight!, prefillTokens: prefillTokens!, prefillCost: prefillCost! };
        sum = together(sum, {
          ...levels,
          ...{ contextTokens: contextTokens!, headCost: headCost!, headPlacedAtMs, doneAtMs: doneAtMs! },
        });
      },
    );
    this.#replaceOthers(slot, sum);
  }

  #replaceOthers(slot: number, others: Readonly<Others>): void {
    const before = this.#others[slot] ?? noOthers;
    this.inFlight[slot]! += others.inFlight - before.inFlight;
    this.queuedPrefillTokens[slot]! += others.prefillTokens - before.prefillTokens;
    this.contextTokens[slot]! += others.contextTokens - before.contextTokens;
    this.#others[slot] = others;
  }

  /** What we have there ourselves, to be told to others. */
  own(slot: number, slowness: number, nowMs: number): Others {
    this.#letGo(slot, slowness, nowMs);
    return this.#own(slot);
  }

  /** Tells the other threads what this one has there now. */
  #tellSiblings(slot: number): void {
    if (this.#siblings === null) return;
    const own = this.#own(slot);
    const before = this.#siblings.write(slot, [
      ...[own.inFlight, own.prefillTokens, own.prefillCost, own.contextTokens],
      ...[own.headCost, own.headPlacedAtMs, own.doneAtMs],
    ]);
    // Where nobody else has changed anything there is nothing to read.
    if (before === this.#seenChanges[slot]) this.#seenChanges[slot] = (before + 1) | 0;
  }

  #own(slot: number): Others {
    const others = this.#others[slot] ?? noOthers;
    const head = this.#queues[slot]?.entries[0];
    return {
      inFlight: this.inFlight[slot]! - others.inFlight,
      prefillTokens: this.queuedPrefillTokens[slot]! - others.prefillTokens,
      prefillCost: this.#queues[slot]?.cost ?? 0,
      contextTokens: this.contextTokens[slot]! - others.contextTokens,
      headCost: head?.prefillCost ?? 0,
      headPlacedAtMs: head?.placedAtMs ?? Infinity,
      doneAtMs: this.#doneAtMs[slot]!,
    };
  }

  open(slot: number, work: Work, nowMs: number): Entry {
    const { promptTokens, uncachedTokens, prefillCost, streaming } = work;
    const prefilling = prefillCost > 0;
    const placedAtMs = nowMs;
    const entry = { slot, promptTokens, uncachedTokens, prefillCost, streaming, placedAtMs, prefilling, open: true };
    if (entry.prefilling) {
      const queue = (this.#queues[slot] ??= { entries: [], cost: 0 });
      queue.entries.push(entry);
      queue.cost += entry.prefillCost;
      this.queuedPrefillTokens[slot]! += entry.uncachedTokens;
    }
    this.inFlight[slot]! += 1;
    this.total += 1;
    this.contextTokens[slot]! += entry.promptTokens;
    this.#tellSiblings(slot);
    return entry;
  }

  /** Its first token was seen: its prompt waits no longer, nor does any unseen one ahead of it. */
  prefilled(entry: Entry, nowMs: number): SeenPrefill | null {
    if (!entry.prefilling) return null;
    const { slot } = entry;
    const queue = this.#queues[slot]!;
    const sinceMs = this.#headSinceMs(slot);
    let cost = 0;
    while (queue.entries[0] !== entry && queue.entries[0]?.streaming === false) {
      cost += queue.entries[0].prefillCost;
      this.#leave(queue, queue.entries[0]);
    }
    cost += entry.prefillCost;
    this.#leave(queue, entry);
    this.#doneAtMs[slot] = nowMs;
    this.#tellSiblings(slot);
    return { cost, sinceMs };
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
      if (wasHead) this.#doneAtMs[entry.slot] = nowMs;
    }
    this.inFlight[entry.slot]! -= 1;
    this.total -= 1;
    this.contextTokens[entry.slot]! -= entry.promptTokens;
    this.#tellSiblings(entry.slot);
  }

  /** Seconds of prefill that are still to be done for one request; 0 once its prompt is computed. */
  leftSeconds(entry: Entry, slowness: number, nowMs: number): number {
    if (!entry.prefilling) return 0;
    const isHead = this.#ownHead(entry.slot) === entry;
    const done = isHead ? Math.max(0, nowMs - this.#headSinceMs(entry.slot)) / 1000 : 0;
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
    this.refresh(slot);
    this.#letGo(slot, slowness, nowMs);
    const sinceMs = this.#headSinceMs(slot);
    if (sinceMs === Infinity) return 0;
    const headCost = this.#ownHead(slot)?.prefillCost ?? this.#othersAt(slot).headCost;
    const done = Math.min(headCost * slowness, Math.max(0, nowMs - sinceMs) / 1000);
    return this.queuedCost(slot) * slowness - done;
  }

  #letGo(slot: number, slowness: number, nowMs: number): void {
    for (let head = this.#ownHead(slot); head?.streaming === false; head = this.#ownHead(slot)) {
      const doneAtMs = this.#headSinceMs(slot) + head.prefillCost * slowness * 1000;
      if (doneAtMs > nowMs) return;
      this.#leave(this.#queues[slot]!, head);
      this.#doneAtMs[slot] = doneAtMs;
      this.#tellSiblings(slot);
    }
  }

  /** The prompt that the engine computes now, the oldest of all; null where another replica sent it, or there is none. */
  #ownHead(slot: number): Entry | null {
    const own = this.#queues[slot]?.entries[0];
    return own !== undefined && own.placedAtMs <= this.#othersAt(slot).headPlacedAtMs ? own : null;
  }

  /** It is in work since it came, or since the one before it was done; Infinity where there is none. */
  #headSinceMs(slot: number): number {
    const { headPlacedAtMs, doneAtMs } = this.#othersAt(slot);
    const placedAtMs = this.#ownHead(slot)?.placedAtMs ?? headPlacedAtMs;
    return Math.max(placedAtMs, this.#doneAtMs[slot]!, doneAtMs);
  }

  #othersAt(slot: number): Readonly<Others> {
    return this.#others[slot] ?? noOthers;
  }

  #leave(queue: PrefillQueue, entry: Entry): void {
    entry.prefilling = false;
    if (queue.entries[0] === entry) queue.entries.shift();
    else queue.entries.splice(queue.entries.indexOf(entry), 1);
    // Sums of fractions drift; an empty queue is exactly empty.
    queue.cost = queue.entries.length === 0 ? 0 : queue.cost - entry.prefillCost;
    this.queuedPrefillTokens[entry.slot]! -= entry.uncachedTokens;
  }
}

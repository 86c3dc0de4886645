/** One request's place in the ledger, from its pick to its end. */
export interface Entry {
  readonly slot: number;
  /** Uncached prompt tokens it brought. */
  readonly prefillTokens: number;
  /** When a request that does not stream has probably been prefilled; Infinity for one whose first token will be seen. */
  readonly drainsAtMs: number;
  prefilling: boolean;
  open: boolean;
}

/** What this router sent to each slot and has not seen end. Exact, and counted in the same step as the pick. */
export class Ledger {
  inFlight: Float64Array;
  queuedPrefillTokens: Float64Array;
  /** Entries that drain by time, per slot, in the order they were sent. */
  readonly #draining: Entry[][] = [];

  constructor(slots: number) {
    this.inFlight = new Float64Array(slots);
    this.queuedPrefillTokens = new Float64Array(slots);
  }

  open(slot: number, prefillTokens: number, drainsAtMs: number): Entry {
    const entry: Entry = { slot, prefillTokens, drainsAtMs, prefilling: true, open: true };
    this.inFlight[slot]! += 1;
    this.queuedPrefillTokens[slot]! += prefillTokens;
    if (drainsAtMs < Infinity) (this.#draining[slot] ??= []).push(entry);
    return entry;
  }

  /** The first token was seen: its prompt waits no longer. */
  prefilled(entry: Entry): void {
    if (!entry.prefilling) return;
    entry.prefilling = false;
    this.queuedPrefillTokens[entry.slot]! -= entry.prefillTokens;
  }

  /** The request has ended, however it did. */
  close(entry: Entry): void {
    if (!entry.open) return;
    entry.open = false;
    this.prefilled(entry);
    this.inFlight[entry.slot]! -= 1;
  }

  /** Lets go of prompts whose prefill must be over by now although nothing was seen of it. */
  drain(nowMs: number): void {
    for (const entries of this.#draining) {
      while (entries !== undefined && entries.length > 0 && (!entries[0]!.prefilling || entries[0]!.drainsAtMs <= nowMs)) {
        this.prefilled(entries.shift()!);
      }
    }
  }
}

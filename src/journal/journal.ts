import type { Decision } from '../scheduler/decision.ts';

/**
 * The recent Decisions, bounded in bytes: when room is needed the oldest go, and are counted.
 * Kept as they are and rendered when read.
 */
export class Journal {
  readonly #limitBytes: number;
  readonly #byId = new Map<string, Decision>();
  readonly #idByRequest = new Map<string, string>();
  /** In the order in which they were made, with their sizes; those before `#first` have been dropped. */
  readonly #inOrder: (Kept | undefined)[] = [];
  #first = 0;
  readonly #watchers = new Set<JournalWatcher>();
  #bytes = 0;
  #recorded = 0;
  #dropped = 0;

  constructor(limitBytes = 32 * 1024 * 1024) {
    this.#limitBytes = limitBytes;
  }

  /** Called once for each Decision, as soon as it is made. */
  record(decision: Decision): void {
    const bytes = bytesOf(decision);
    this.#byId.set(decision.id, decision);
    this.#idByRequest.set(decision.requestId, decision.id);
    this.#inOrder.push({ decision, bytes });
    this.#bytes += bytes;
    this.#recorded += 1;
    while (this.#bytes > this.#limitBytes && this.#byId.size > 1) this.#dropOldest();
    for (const watcher of this.#watchers) watcher.decided(decision);
  }

  /** Called when an answer's first token has come. */
  answering(decision: Decision): void {
    for (const watcher of this.#watchers) watcher.answering?.(decision);
  }

  /** Called when `decision.outcome` has been filled in. */
  ended(decision: Decision): void {
    for (const watcher of this.#watchers) watcher.ended(decision);
  }

  /** By the decision's id or the request's; of several decisions with one request id the latest. */
  find(id: string): Decision | null {
    return this.#byId.get(id) ?? this.#byId.get(this.#idByRequest.get(id) ?? '') ?? null;
  }

  /** The latest `limit`, newest first; of those made before the one called `before`: none when that one is gone. */
  latest(limit: number, before: string | null = null): Decision[] {
    const all = this.#all();
    const end =
      before === null
        ? all.length
        : Math.max(
            0,
            all.findIndex(({ id }) => id === before),
          );
    return all.slice(0, end).slice(-limit).reverse();
  }

  /** Up to `limit` made after the one called `id`, oldest first; from the oldest kept when that one is gone. */
  after(id: string, limit: number): Decision[] {
    const all = this.#all();
    const start = all.findIndex((decision) => decision.id === id) + 1;
    return all.slice(start, start + limit);
  }

  /** Tells `watcher` of everything from now on; gives the function that ends it. */
  watch(watcher: JournalWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  get sizes(): JournalSizes {
    return {
      decisions: this.#byId.size,
      bytes: this.#bytes,
      limitBytes: this.#limitBytes,
      recorded: this.#recorded,
      dropped: this.#dropped,
    };
  }

  #all(): Decision[] {
    return this.#inOrder.slice(this.#first).map((kept) => kept!.decision);
  }

  #dropOldest(): void {
    const { decision, bytes } = this.#inOrder[this.#first]!;
    this.#inOrder[this.#first++] = undefined;
    if (this.#first * 2 > this.#inOrder.length) {
      this.#inOrder.splice(0, this.#first);
      this.#first = 0;
    }
    this.#byId.delete(decision.id);
    this.#bytes -= bytes;
    if (this.#idByRequest.get(decision.requestId) === decision.id) this.#idByRequest.delete(decision.requestId);
    this.#dropped += 1;
  }
}

interface Kept {
  readonly decision: Decision;
  readonly bytes: number;
}

interface JournalWatcher {
  decided(decision: Decision): void;
  answering?(decision: Decision): void;
  ended(decision: Decision): void;
}

interface JournalSizes {
  readonly decisions: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly recorded: number;
  readonly dropped: number;
}

/**
 * About what a Decision takes in memory: its columns, its strings, and a share for objects. The constants are measured
 * (growth of the heap by thousands of Decisions); the test measures again.
 */
function bytesOf(decision: Decision): number {
  const decisionBytes = 1600;
  const pluginBytes = 250;
  const arrayBytes = 110;
  let arrays = Object.keys(decision.inputs).length;
  let plugins = 0;
  for (const { filters, scorers } of decision.profiles) {
    // Totals, ties and picks; positions are mostly shared.
    arrays += 3;
    plugins += 1 + filters.length + scorers.length;
    for (const { columns } of scorers) arrays += 1 + Object.keys(columns).length;
  }
  const strings = [decision.requestId, decision.model, decision.reason, ...decision.headerNames];
  const characters = strings.reduce((sum, text) => sum + text.length, 0);
  const hashBytes = decision.prefixBlocks === null ? 0 : 4 * decision.prefixBlocks.hashes.length;
  const shadowBytes = 250 * decision.shadow.length;
  const values = 8 * arrays * decision.candidates.length;
  return (
    decisionBytes + hashBytes + shadowBytes + 2 * characters + pluginBytes * plugins + arrayBytes * arrays + values
  );
}

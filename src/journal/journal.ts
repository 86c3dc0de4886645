import type { Decision } from '../scheduler/decision.ts';

/**
 * The recent Decisions, bounded in bytes: when room is needed the oldest go, and are counted.
 * Kept as they are and rendered when read.
 */
export class Journal {
  readonly #limitBytes: number;
  /** In the order in which they were made, and their sizes; those before `#first` have been dropped. */
  #decisions: (Decision | undefined)[] = [];
  #sizes: number[] = [];
  #first = 0;
  #watchers: readonly JournalWatcher[] = [];
  #bytes = 0;
  #recorded = 0;
  #dropped = 0;

  constructor(limitBytes = 32 * 1024 * 1024) {
    this.#limitBytes = limitBytes;
  }

  /** Called once for each Decision, as soon as it is made. */
  record(decision: Decision): void {
    const bytes = bytesOf(decision);
    this.#decisions.push(decision);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    this.#recorded += 1;
    while (this.#bytes > this.#limitBytes && this.#count > 1) this.#dropOldest();
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

  /**
   * By the decision's id or the request's; of several decisions with one request id the latest. Looked for one by one:
   * people ask now and then, and an index would be kept for every request.
   */
  find(id: string): Decision | null {
    let ofRequest: Decision | null = null;
    for (let at = this.#decisions.length - 1; at >= this.#first; at--) {
      const decision = this.#decisions[at]!;
      if (decision.id === id) return decision;
      if (ofRequest === null && decision.requestId === id) ofRequest = decision;
    }
    return ofRequest;
  }

  /** The latest `limit`, newest first; of those made before the one called `before`: none when that one is gone. */
  latest(limit: number, before: string | null = null): Decision[] {
    const all = this.#all();
    const end = before === null ? all.length : positionOf(before, all);
    return all.slice(0, end).slice(-limit).reverse();
  }

  /** Up to `limit` made after the one called `id`, oldest first; from the oldest kept when that one is gone. */
  after(id: string, limit: number): Decision[] {
    const all = this.#all();
    const position = positionOf(id, all);
    const start = all[position]?.id === id ? position + 1 : position;
    return all.slice(start, start + limit);
  }

  /** Tells `watcher` of everything from now on; gives the function that ends it. */
  watch(watcher: JournalWatcher): () => void {
    this.#watchers = [...this.#watchers, watcher];
    return () => {
      this.#watchers = this.#watchers.filter((each) => each !== watcher);
    };
  }

  get sizes(): JournalSizes {
    return {
      decisions: this.#count,
      bytes: this.#bytes,
      limitBytes: this.#limitBytes,
      recorded: this.#recorded,
      dropped: this.#dropped,
    };
  }

  get #count(): number {
    return this.#decisions.length - this.#first;
  }

  #all(): Decision[] {
    return this.#decisions.slice(this.#first) as Decision[];
  }

  #dropOldest(): void {
    this.#bytes -= this.#sizes[this.#first]!;
    this.#decisions[this.#first++] = undefined;
    this.#dropped += 1;
    if (this.#first * 2 <= this.#decisions.length) return;
    this.#decisions = this.#decisions.slice(this.#first);
    this.#sizes = this.#sizes.slice(this.#first);
    this.#first = 0;
  }
}

/**
 * Where the decision stands, or would: another thread may have made it, and all of them number theirs together. Before all
 * where it is gone, or was never one of these.
 */
function positionOf(id: string, all: readonly Decision[]): number {
  const here = all.findIndex((decision) => decision.id === id);
  if (here >= 0) return here;
  const { prefix, number } = partsOf(id);
  if (all[0] === undefined || partsOf(all[0].id).prefix !== prefix) return 0;
  const later = all.findIndex((decision) => partsOf(decision.id).number > number);
  return later < 0 ? all.length : later;
}

function partsOf(id: string): { prefix: string; number: number } {
  const dash = id.lastIndexOf('-');
  return { prefix: id.slice(0, dash), number: parseInt(id.slice(dash + 1), 36) };
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
  const decisionBytes = 1000;
  const profileBytes = 500;
  const filterBytes = 60;
  /** As many as `DecisionInputs` has. */
  const inputColumns = 12;
  let columns = inputColumns;
  let plugins = 0;
  const { profiles, headerNames, prefixBlocks, shadow } = decision;
  for (const profile of profiles) {
    columns += profile.columnCount;
    plugins += profile.filters.length;
  }
  let characters = decision.requestId.length + decision.model.length + decision.reason.length;
  for (const name of headerNames) characters += name.length;
  return (
    decisionBytes +
    profileBytes * profiles.length +
    filterBytes * plugins +
    8 * columns * decision.candidates.length +
    2 * characters +
    (prefixBlocks === null ? 0 : 4 * prefixBlocks.hashes.length) +
    250 * shadow.length
  );
}

import { passingNumbers, wholeNumbers } from '../base/numbers.ts';
import type { FleetView, Loras, PrefixLookup } from '../scheduler/view.ts';
import { prefixHash, type PrefixKey } from './prefix-index/prefix-key.ts';

/** Columns of every view of a fleet; all but the first are arrays that stay the same. */
export type FleetColumns = Omit<
  FleetView,
  | 'nowMs'
  | 'eligible'
  | 'cachedTokens'
  | 'usefulCachedTokens'
  | 'prefillSeconds'
  | 'prefillShare'
  | 'prefixHash'
  | 'prefixLookup'
  | 'lorasAt'
>;

/** Tokens cached per slot, and what they save. */
export interface Cached {
  readonly tokens: Float64Array;
  readonly useful: Float64Array;
}

/** Where a view's lazy columns come from. */
export interface Knowledge {
  cached(model: string, promptTokens: number, key: PrefixKey, eligible: Int32Array): Cached;
  prefillSeconds(eligible: Int32Array, promptTokens: number, cached: Cached): Float64Array;
  /** Of one endpoint's time. */
  prefillShare(slot: number, nowMs: number): number;
  lorasAt(slot: number): Loras | null;
  /** Blocks that any prompt has. */
  readonly blocks: number;
}

/** The fleet as one request sees it. Its own columns are worked out when they are first asked for. */
export class RequestView implements FleetView {
  readonly nowMs: number;
  readonly eligible: Int32Array;
  readonly endpoints: FleetView['endpoints'];
  readonly inFlight: Float64Array;
  readonly queuedPrefillTokens: Float64Array;
  readonly queuedPrefillSeconds: Float64Array;
  readonly waiting: Float64Array;
  readonly running: Float64Array;
  readonly othersInFlight: Float64Array;
  readonly kvUsage: Float64Array;
  readonly gaugeAgeMs: Float64Array;
  readonly speed: Float64Array;
  readonly contextTokens: Float64Array;
  readonly #knowledge: Knowledge;
  readonly #model: string;
  readonly #promptTokens: number;
  readonly #key: PrefixKey;
  #cached: Cached | null = null;
  #prefillSeconds: Float64Array | null = null;

  constructor(
    columns: FleetColumns,
    knowledge: Knowledge,
    model: string,
    promptTokens: number,
    key: PrefixKey,
    eligible: Int32Array,
    nowMs: number,
  ) {
    this.nowMs = nowMs;
    this.eligible = eligible;
    this.endpoints = columns.endpoints;
    this.inFlight = columns.inFlight;
    this.queuedPrefillTokens = columns.queuedPrefillTokens;
    this.queuedPrefillSeconds = columns.queuedPrefillSeconds;
    this.waiting = columns.waiting;
    this.running = columns.running;
    this.othersInFlight = columns.othersInFlight;
    this.kvUsage = columns.kvUsage;
    this.gaugeAgeMs = columns.gaugeAgeMs;
    this.speed = columns.speed;
    this.contextTokens = columns.contextTokens;
    this.#knowledge = knowledge;
    this.#model = model;
    this.#promptTokens = promptTokens;
    this.#key = key;
  }

  /** The same request's view without `slots`, all of which it has. */
  without(slots: readonly number[]): RequestView {
    const eligible = wholeNumbers(this.eligible.length - slots.length);
    let at = 0;
    for (const slot of this.eligible) if (!slots.includes(slot)) eligible[at++] = slot;
    const view = new RequestView(
      this,
      this.#knowledge,
      this.#model,
      this.#promptTokens,
      this.#key,
      eligible,
      this.nowMs,
    );
    view.#cached = this.#cached;
    return view;
  }

  /** Somebody knows better than what is looked up. */
  know(cachedTokens: Float64Array, prefillSeconds: Float64Array): void {
    this.#cached = { tokens: cachedTokens, useful: this.#lookUp().useful };
    this.#prefillSeconds = prefillSeconds;
  }

  cachedTokens(): Float64Array {
    return this.#lookUp().tokens;
  }

  usefulCachedTokens(): Float64Array {
    return this.#lookUp().useful;
  }

  prefillSeconds(): Float64Array {
    return (this.#prefillSeconds ??= this.#knowledge.prefillSeconds(this.eligible, this.#promptTokens, this.#lookUp()));
  }

  prefillShare(): Float64Array {
    const shares = passingNumbers(this.endpoints.length);
    for (const slot of this.eligible) shares[slot] = this.#knowledge.prefillShare(slot, this.nowMs);
    return shares;
  }

  prefixHash(tokens: number): number | null {
    return prefixHash(this.#key, this.#promptTokens, tokens);
  }

  lorasAt(slot: number): Loras | null {
    return this.#knowledge.lorasAt(slot);
  }

  prefixLookup(): PrefixLookup {
    if (this.#key.hashes.low.length === 0) return 'shorter than one block';
    if (this.#knowledge.blocks === 0) return 'nothing stored yet';
    const { tokens } = this.#lookUp();
    for (const slot of this.eligible) if (tokens[slot]! > 0) return 'match';
    return 'no match';
  }

  #lookUp(): Cached {
    return (this.#cached ??= this.#knowledge.cached(this.#model, this.#promptTokens, this.#key, this.eligible));
  }
}

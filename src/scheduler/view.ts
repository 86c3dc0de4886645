import type { Endpoint } from './endpoint.ts';

/**
 * What the router knows of the fleet at one moment, for one request: a column per fact, a row (slot) per endpoint.
 * Columns are typed arrays indexed by slot; a slot keeps its endpoint for as long as the endpoint lives.
 * NaN means "not known"; it is rendered as null, never as 0.
 * Columns may be live (the ledger's own arrays): readers copy what they keep.
 */
export interface FleetView {
  /** The moment of the view, on the caller's monotonic clock. */
  readonly nowMs: number;
  /** Endpoint by slot; undefined where a slot is free. */
  readonly endpoints: readonly (Endpoint | undefined)[];
  /**
   * Slots that may be chosen for this request: they serve its model, are ready, and were not excluded. Never changed:
   * where slots or what stands in them change, there is another array.
   */
  readonly eligible: Int32Array;

  /* Own counts (ledger): exact for what this router sent, never stale. */
  /** Requests sent and not ended. */
  readonly inFlight: Float64Array;
  /** Uncached prompt tokens sent whose first token has not been seen. */
  readonly queuedPrefillTokens: Float64Array;
  /** The same in seconds, with the learned speed; drains by elapsed time for answers that do not stream. */
  readonly queuedPrefillSeconds: Float64Array;
  /** Tokens that the requests in flight keep in the KV cache: prompts in whole, cached or not. */
  readonly contextTokens: Float64Array;

  /* Gauges scraped from engines: as old as `gaugeAgeMs` says. */
  readonly waiting: Float64Array;
  readonly running: Float64Array;
  /** Waiting and running requests that this router did not send: the gauges less its own at that moment. */
  readonly othersInFlight: Float64Array;
  /** KV-cache use, 0..1. */
  readonly kvUsage: Float64Array;
  readonly gaugeAgeMs: Float64Array;

  /** Learned speed relative to the hardware profile's prefill step (1 = as the profile says, 0.5 = half as fast). */
  readonly speed: Float64Array;

  /** Leading prompt tokens thought to be cached per slot. A lazy column: computed at the first call. */
  cachedTokens(): Float64Array;

  /**
   * The same as what they save: less where they are only in a slower tier of the cache (host memory, disk). Absent where
   * no tiers are known.
   */
  usefulCachedTokens?(): Float64Array;

  /**
   * Seconds each slot would take to prefill this request alone, given what is cached there and its learned speed.
   * A lazy column, like `cachedTokens`.
   */
  prefillSeconds(): Float64Array;

  /**
   * How much of its time each slot's engine has spent on prompts over the last ten seconds or so, 0..1. A lazy column;
   * absent where nobody measures.
   */
  prefillShare?(): Float64Array;

  /**
   * Hash of the prompt's first `tokens` tokens in whole blocks, at least one, or of all its blocks where it is shorter;
   * null where the prompt is not known. Equal beginnings have equal hashes.
   */
  prefixHash?(tokens: number): number | null;

  /** Adapters at the slot, as its engine says; null where it says nothing of them. */
  lorasAt?(slot: number): Loras | null;

  /** How the look-up behind `cachedTokens` went, for whoever asks why it says 0; absent where nobody looks. */
  prefixLookup?(): PrefixLookup;
}

/** LoRA adapters at an engine. */
export interface Loras {
  readonly running: readonly string[];
  readonly waiting: readonly string[];
  /** How many may run at once. */
  readonly most: number;
}

export type PrefixLookup = 'match' | 'no match' | 'shorter than one block' | 'nothing stored yet';

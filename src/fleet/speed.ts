import { ewma } from '../base/ewma.ts';

/** Observations fade with this time constant, so that an endpoint which slowed or recovered is believed soon. */
const memoryMs = 20_000;
/** Weight of the pool's speed in an endpoint's, as seconds of work: it decides where nothing was observed lately. */
const poolWeight = 0.25;
/** The pool's own memory, in seconds of work; it does not fade with time. */
const poolMemory = 60;
/** A prefill that took longer than this many times what was expected waited for something else as well. */
const outlierFactor = 3;
/** How much less an answer that did not stream tells of prefill than a first token that was seen. */
const unstreamedWeight = 0.2;
const outputLearningShare = 0.2;
/** Over which time the share of prefill in an engine's work is taken. */
const prefillShareMs = 10_000;

/**
 * How slow each slot's engine is: seconds it takes per second of work at reference speed (`prefill-cost.ts`). A ratio
 * of sums, so that prompts computed together in one step, whose first tokens come at once, count rightly.
 */
export class Speed {
  /** Times the reference speed; NaN until observed. */
  readonly relative: Float64Array;
  /** Seconds from one output token to the next; NaN until observed. */
  readonly secondsPerOutputToken: Float64Array;
  /** Observed seconds and the work done in them, as they stood at `#seenAtMs`. */
  readonly #seconds: Float64Array;
  readonly #cost: Float64Array;
  readonly #seenAtMs: Float64Array;
  /** Seconds of prefill lately, as they stood at `#seenAtMs`. */
  readonly #prefillSeconds: Float64Array;
  #poolSeconds = poolWeight;
  #poolCost = poolWeight;

  constructor(slots: number) {
    this.relative = new Float64Array(slots).fill(NaN);
    this.secondsPerOutputToken = new Float64Array(slots).fill(NaN);
    this.#seconds = new Float64Array(slots);
    this.#cost = new Float64Array(slots);
    this.#seenAtMs = new Float64Array(slots);
    this.#prefillSeconds = new Float64Array(slots);
  }

  /** Seconds per second of work at reference speed; of a slot not observed lately, what the pool takes. */
  slowness(slot: number, nowMs: number): number {
    const pool = this.#poolSeconds / this.#poolCost;
    if (this.#cost[slot] === 0) return (pool * poolWeight) / poolWeight;
    const kept = Math.exp((this.#seenAtMs[slot]! - nowMs) / memoryMs);
    return (kept * this.#seconds[slot]! + pool * poolWeight) / (kept * this.#cost[slot]! + poolWeight);
  }

  /** How much of its time the slot's engine has spent on prefill lately, 0..1. */
  prefillShare(slot: number, nowMs: number): number {
    const kept = Math.exp((this.#seenAtMs[slot]! - nowMs) / prefillShareMs);
    return Math.min(1, (kept * this.#prefillSeconds[slot]! * 1000) / prefillShareMs);
  }

  /** A first token told that `cost` of work was done in `seconds`. */
  observePrefill(slot: number, cost: number, seconds: number, nowMs: number): void {
    const limit = outlierFactor * cost * this.slowness(slot, nowMs);
    this.#observe(slot, cost, Math.min(seconds, limit), nowMs);
  }

  /** A whole answer whose first token was not seen took `seconds` for `cost` of prefill, own and ahead, and decoding. */
  observeAnswer(slot: number, cost: number, seconds: number, nowMs: number): void {
    this.#observe(slot, cost * unstreamedWeight, seconds * unstreamedWeight, nowMs);
  }

  observeOutput(slot: number, outputTokens: number, seconds: number): void {
    if (outputTokens < 2 || seconds <= 0) return;
    const sample = seconds / (outputTokens - 1);
    this.secondsPerOutputToken[slot] = ewma(this.secondsPerOutputToken[slot]!, sample, outputLearningShare);
  }

  reset(slot: number): void {
    this.relative[slot] = NaN;
    this.secondsPerOutputToken[slot] = NaN;
    this.#seconds[slot] = 0;
    this.#cost[slot] = 0;
    this.#prefillSeconds[slot] = 0;
  }

  #observe(slot: number, cost: number, seconds: number, nowMs: number): void {
    const kept = Math.exp((this.#seenAtMs[slot]! - nowMs) / memoryMs);
    this.#seconds[slot] = this.#seconds[slot]! * kept + seconds;
    this.#cost[slot] = this.#cost[slot]! * kept + cost;
    const shareKept = Math.exp((this.#seenAtMs[slot]! - nowMs) / prefillShareMs);
    this.#prefillSeconds[slot] = this.#prefillSeconds[slot]! * shareKept + seconds;
    this.#seenAtMs[slot] = nowMs;
    const poolKept = Math.min(1, poolMemory / (this.#poolCost + cost));
    this.#poolSeconds = (this.#poolSeconds + seconds) * poolKept;
    this.#poolCost = (this.#poolCost + cost) * poolKept;
    this.relative[slot] = 1 / this.slowness(slot, nowMs);
  }
}

import { ewma } from '../base/ewma.ts';

const learningShare = 0.1;
/** Off by more than this share of the prompt on average is more than evictions and races explain. */
const tolerableShare = 0.15;
const samplesToJudge = 12;

/**
 * How well what was predicted to be cached agrees with what engines report, per slot: the mean difference in shares of
 * the prompt, and its mean size.
 */
export class Prediction {
  /** Predicted minus reported, as a share of the prompt; above 0 too much was expected. NaN before any report. */
  readonly bias: Float64Array;
  /** The same without its sign. */
  readonly error: Float64Array;
  /** Reports since the last `reset`. */
  readonly samples: Uint32Array;
  /** Tokens since the start, for counters. */
  readonly predictedTokens: Float64Array;
  readonly reportedTokens: Float64Array;

  constructor(slots: number) {
    this.bias = new Float64Array(slots).fill(NaN);
    this.error = new Float64Array(slots).fill(NaN);
    this.samples = new Uint32Array(slots);
    this.predictedTokens = new Float64Array(slots);
    this.reportedTokens = new Float64Array(slots);
  }

  observe(slot: number, predictedTokens: number, reportedTokens: number, promptTokens: number): void {
    if (!(promptTokens > 0)) return;
    const difference = Math.max(-1, Math.min(1, (predictedTokens - reportedTokens) / promptTokens));
    this.bias[slot] = ewma(this.bias[slot]!, difference, learningShare);
    this.error[slot] = ewma(this.error[slot]!, Math.abs(difference), learningShare);
    this.samples[slot]! += 1;
    this.predictedTokens[slot]! += predictedTokens;
    this.reportedTokens[slot]! += reportedTokens;
  }

  /** Whether they have differed for so long that what is known of the slot's cache must be wrong. */
  disagrees(slot: number): boolean {
    return this.samples[slot]! >= samplesToJudge && this.error[slot]! > tolerableShare;
  }

  /** Judges anew: what is known has changed. */
  reset(slot: number): void {
    this.bias[slot] = NaN;
    this.error[slot] = NaN;
    this.samples[slot] = 0;
  }
}

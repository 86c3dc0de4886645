import { ewma } from '../base/ewma.ts';

/** Assumed of an endpoint nobody has observed, and the unit of `relative`: a mid-size model on one current GPU. */
const referenceTokensPerSecond = 8000;
const learningShare = 0.2;
/** Below this much work the first token's delay is overhead rather than prefill. */
const tellingTokens = 256;

/** How fast each slot's engine is, learned from what it did. */
export class Speed {
  /** Prefill speed relative to the reference; NaN until observed. */
  relative: Float64Array;
  /** Seconds from one output token to the next; NaN until observed. */
  secondsPerOutputToken: Float64Array;

  constructor(slots: number) {
    this.relative = new Float64Array(slots).fill(NaN);
    this.secondsPerOutputToken = new Float64Array(slots).fill(NaN);
  }

  /** Prompt tokens per second; of a slot not yet observed what the others do on average. */
  prefillTokensPerSecond(slot: number): number {
    const own = this.relative[slot]!;
    return referenceTokensPerSecond * (Number.isNaN(own) ? this.#poolMean() : own);
  }

  /** A first token after `seconds`, with `workTokens` of uncached prompt to do before it (its own included). */
  observeFirstToken(slot: number, workTokens: number, seconds: number): void {
    if (workTokens < tellingTokens || seconds <= 0) return;
    const sample = workTokens / seconds / referenceTokensPerSecond;
    this.relative[slot] = ewma(this.relative[slot]!, sample, learningShare);
  }

  observeOutput(slot: number, outputTokens: number, seconds: number): void {
    if (outputTokens < 2 || seconds <= 0) return;
    const sample = seconds / (outputTokens - 1);
    this.secondsPerOutputToken[slot] = ewma(this.secondsPerOutputToken[slot]!, sample, learningShare);
  }

  reset(slot: number): void {
    this.relative[slot] = NaN;
    this.secondsPerOutputToken[slot] = NaN;
  }

  #poolMean(): number {
    let sum = 0;
    let known = 0;
    for (const factor of this.relative) {
      if (Number.isNaN(factor)) continue;
      sum += factor;
      known++;
    }
    return known === 0 ? 1 : sum / known;
  }
}

import type { EngineModel } from '../engine/model/engine-model.ts';
import { stepMs } from '../engine/model/profiles.ts';
import type { Sequence } from '../engine/model/sequence.ts';

/** Whether more of it than its latest token is still to be computed after the step under way. */
export function isPrefilling({ state, totalTokens, computed, scheduled, generated }: Sequence): boolean {
  if (state === 'receiving') return false;
  return state === 'waiting' || totalTokens - computed - scheduled > (generated === 0 ? 0 : 1);
}

/** Leading blocks that two prompts have in common; a hash of 0 matches nothing. */
export function commonBlocks(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let count = 0;
  while (count < left.length && left[count] === right[count] && left[count] !== 0) count += 1;
  return count;
}

/**
 * Milliseconds for `uncached` tokens of one prompt behind `cached` ones, in chunks as the engine computes them, with the
 * answers now under way in the same steps.
 */
export function prefillMs(model: EngineModel, uncached: number, cached: number): number {
  let decoding = 0;
  let decodeContext = 0;
  for (const sequence of model.sequences) {
    if (sequence.state !== 'running' || isPrefilling(sequence)) continue;
    decoding += 1;
    decodeContext += sequence.computed;
  }
  const chunkTokens = Math.max(1, model.maxNumBatchedTokens - decoding);
  let ms = 0;
  for (let done = 0; done < uncached; done += chunkTokens) {
    const tokens = Math.min(chunkTokens, uncached - done);
    ms += stepMs(model.profile.step, {
      tokens: tokens + decoding,
      sequences: decoding + 1,
      prefillAttention: tokens * (cached + done + tokens / 2),
      decodeContext,
    });
  }
  return ms / model.speed;
}

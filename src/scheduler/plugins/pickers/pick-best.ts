import { z } from 'zod';
import type { Cycle, Pick } from '../../plugin.ts';

export const pickerParameters = z.strictObject({
  maxNumOfEndpoints: z
    .int()
    .min(1)
    .default(1)
    .describe('how many endpoints to name, best first: the pick, then those to fall back on'),
});

/** Picks the slots whose `sign · total` is largest, one after the other; equal ones in random order. */
export function pickBest({ candidates, random }: Cycle, totals: Float64Array, sign: 1 | -1, count: number): Pick {
  const picked: number[] = [];
  let tied: number[] = [];
  while (picked.length < Math.min(count, candidates.length)) {
    const best = bestOf(candidates, totals, sign, picked);
    if (picked.length === 0) tied = best;
    picked.push(best.length === 1 ? best[0]! : best[random.below(best.length)]!);
  }
  return { picked, tied };
}

/** Of those not yet picked, the slots with the largest total. */
function bestOf(candidates: Int32Array, totals: Float64Array, sign: 1 | -1, picked: readonly number[]): number[] {
  let best = -Infinity;
  let first = -1;
  let equal = 0;
  for (let i = 0; i < candidates.length; i++) {
    const total = sign * totals[i]!;
    if (total < best || (picked.length > 0 && picked.includes(candidates[i]!))) continue;
    if (total > best || first < 0) {
      best = total;
      first = i;
      equal = 0;
    }
    equal += 1;
  }
  if (equal === 1) return [candidates[first]!];
  const slots: number[] = [];
  for (let i = first; i < candidates.length; i++) {
    const isBest = sign * totals[i]! === best && (picked.length === 0 || !picked.includes(candidates[i]!));
    if (isBest) slots.push(candidates[i]!);
  }
  return slots;
}

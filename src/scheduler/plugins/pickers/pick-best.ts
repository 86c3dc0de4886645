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
    let best = -Infinity;
    let bestSlots: number[] = [];
    for (let i = 0; i < candidates.length; i++) {
      const slot = candidates[i]!;
      const total = sign * totals[i]!;
      if (total < best || picked.includes(slot)) continue;
      if (total > best) bestSlots = [];
      best = total;
      bestSlots.push(slot);
    }
    if (picked.length === 0) tied = bestSlots;
    picked.push(bestSlots.length === 1 ? bestSlots[0]! : bestSlots[random.below(bestSlots.length)]!);
  }
  return { picked, tied };
}

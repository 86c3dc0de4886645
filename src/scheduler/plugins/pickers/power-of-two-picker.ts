import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

export const powerOfTwoPicker = definePlugin({
  type: 'power-of-two-picker',
  kind: 'picker',
  unit: 'share',
  summary: 'Draws two candidates at random and picks the one with the higher total; an equal one by the draw.',
  source: 'Mitzenmacher, The Power of Two Choices (1996); Ray Serve, SMG and Helicone route so',
  parameters: z.strictObject({}),
  create: () => ({
    pick({ candidates, random }, totals) {
      const first = random.below(candidates.length);
      if (candidates.length === 1) return { picked: [candidates[0]!], tied: [candidates[0]!] };
      const second = (first + 1 + random.below(candidates.length - 1)) % candidates.length;
      const best = totals[second]! > totals[first]! ? second : first;
      const tied = totals[second] === totals[first] ? [candidates[first]!, candidates[second]!] : [candidates[best]!];
      return { picked: [candidates[best]!], tied };
    },
  }),
});

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { shareOfLeast } from './share-of-least.ts';

const parameters = z.strictObject({
  cacheThreshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.3)
    .describe('share of the prompt that must match, strictly more, for the match to decide'),
  balanceAbsThreshold: z
    .number()
    .min(0)
    .default(64)
    .describe('the load counts as uneven when most − least requests is more than this …'),
  balanceRelThreshold: z.number().min(0).default(1.5).describe('… and most is more than this many times the least'),
});

export const cacheAwareScorer = definePlugin({
  type: 'cache-aware-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'While requests are spread evenly, the longest match when it is long enough (of equal ones the least loaded); else the least loaded endpoint.',
  source: 'SGLang router, SMG and vllm-router: `cache_aware`; equal loads at random instead of the first worker',
  parameters,
  create: ({ cacheThreshold, balanceAbsThreshold, balanceRelThreshold }) => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.cachedTokens();
      const load = details.column('inFlight');
      const match = details.column('match');
      let most = 0;
      let least = Infinity;
      let longest = 0;
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        load[i] = view.inFlight[slot]!;
        match[i] = request.promptTokens > 0 ? knownOr0(cached[slot]!) / request.promptTokens : 0;
        most = Math.max(most, load[i]!);
        least = Math.min(least, load[i]!);
        longest = Math.max(longest, match[i]!);
      }
      const uneven = most - least > balanceAbsThreshold && most > balanceRelThreshold * least;
      const follows = !uneven && longest > cacheThreshold;
      details.note('branch', uneven ? 'uneven load' : follows ? 'match' : 'no match');
      shareOfLeast(load, scores);
      if (!follows) return;
      for (let i = 0; i < scores.length; i++) if (match[i]! < longest) scores[i] = 0;
    },
  }),
});

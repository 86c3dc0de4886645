import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { shareOfLeast } from './share-of-least.ts';

const parameters = z.strictObject({
  imbalanceAbsCount: z
    .number()
    .min(0)
    .default(8)
    .describe('the load counts as uneven when most − least requests is more than this'),
  standardDeviationFactor: z
    .number()
    .min(0)
    .default(1)
    .describe('a match is followed up to mean + this many standard deviations of the requests'),
});

export const aibrixPrefixScorer = definePlugin({
  type: 'aibrix-prefix-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'While requests are spread evenly, the longest match whose endpoint is not far busier than the mean (of equal ones the least busy); else the fewest requests.',
  source: 'AIBrix prefix-cache, as its code has it (its README says 16 and 2)',
  parameters,
  create: ({ imbalanceAbsCount, standardDeviationFactor }) => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.cachedTokens();
      const load = details.column('inFlight');
      const match = details.column('match');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        load[i] = view.inFlight[slot]!;
        match[i] = request.promptTokens > 0 ? knownOr0(cached[slot]!) / request.promptTokens : 0;
      }
      const mean = load.reduce((sum, each) => sum + each, 0) / load.length;
      const variance = load.reduce((sum, each) => sum + (each - mean) ** 2, 0) / load.length;
      const limit = mean + standardDeviationFactor * Math.sqrt(variance);
      const uneven = Math.max(...load) - Math.min(...load) > imbalanceAbsCount;
      let longest = 0;
      if (!uneven) for (let i = 0; i < load.length; i++) if (load[i]! <= limit) longest = Math.max(longest, match[i]!);
      details.note('branch', uneven ? 'uneven load' : longest > 0 ? 'match' : 'no match');
      details.note('loadLimit', load.length === 0 ? null : limit);
      shareOfLeast(load, scores);
      if (longest === 0) return;
      for (let i = 0; i < scores.length; i++) if (match[i]! < longest || load[i]! > limit) scores[i] = 0;
    },
  }),
});

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  beta: z.number().min(0).default(1).describe('weight of the load against the match'),
});

export const prefixOverLoadScorer = definePlugin({
  type: 'prefix-over-load-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The share of the prompt that matches, less how far the requests there are above the mean, in means.',
  source: 'vLLM production-stack, loadaware: m/P − β·(q − mean)/max(1, mean); the best one is 1',
  parameters,
  create: ({ beta }) => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.cachedTokens();
      const value = details.column('value');
      const inFlight = details.column('inFlight');
      for (let i = 0; i < candidates.length; i++) inFlight[i] = view.inFlight[candidates[i]!]!;
      const mean = inFlight.reduce((sum, each) => sum + each, 0) / inFlight.length;
      let best = -Infinity;
      for (let i = 0; i < candidates.length; i++) {
        const match = request.promptTokens > 0 ? knownOr0(cached[candidates[i]!]!) / request.promptTokens : 0;
        value[i] = match - (beta * (inFlight[i]! - mean)) / Math.max(1, mean);
        best = Math.max(best, value[i]!);
      }
      for (let i = 0; i < candidates.length; i++) scores[i] = 1 / (1 + (best - value[i]!));
    },
  }),
});

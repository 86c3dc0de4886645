import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

export const ownPrefillCost = definePlugin({
  type: 'own-prefill-cost',
  kind: 'scorer',
  unit: 'seconds',
  summary: "The request's own prefill: what is not cached at the endpoint, at its speed.",
  source: 'Signalbox: c1·n + c2·n·(h + n/2) + c3 for n uncached behind h cached tokens, times the slowness learned',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const cached = view.cachedTokens();
      const seconds = view.prefillSeconds();
      const cachedTokens = details.column('cachedTokens');
      for (let i = 0; i < candidates.length; i++) {
        cachedTokens[i] = cached[candidates[i]!]!;
        scores[i] = seconds[candidates[i]!]!;
      }
    },
  }),
});

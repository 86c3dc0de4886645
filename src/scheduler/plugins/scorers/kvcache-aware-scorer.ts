import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

export const kvcacheAwareScorer = definePlugin({
  type: 'kvcache-aware-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    "The prompt's cached tokens as engines' KV events tell them, from 0 for the endpoint with the fewest to 1 for the one with the most; 0 for all where they have the same.",
  source: 'llm-d-inference-scheduler 0.0.3 by name; exact from the first request on, without Redis',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const cached = view.usefulCachedTokens?.() ?? view.cachedTokens();
      const cachedTokens = details.column('cachedTokens');
      let [least, most] = [Infinity, 0];
      for (let i = 0; i < candidates.length; i++) {
        cachedTokens[i] = cached[candidates[i]!]!;
        least = Math.min(least, knownOr0(cachedTokens[i]!));
        most = Math.max(most, knownOr0(cachedTokens[i]!));
      }
      for (let i = 0; i < candidates.length; i++) {
        scores[i] = most > least ? (knownOr0(cachedTokens[i]!) - least) / (most - least) : 0;
      }
      details.note('lookup', most > 0 ? 'match' : (view.prefixLookup?.() ?? 'no match'));
    },
  }),
});

import { z } from 'zod';
import type { ScorerDefinition } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

export const prefixCacheScorer: ScorerDefinition = {
  type: 'prefix-cache-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The share of the prompt cached at the endpoint; no regard to load.',
  source: 'Gateway API Inference Extension and llm-d router',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.usefulCachedTokens?.() ?? view.cachedTokens();
      const cachedTokens = details.column('cachedTokens');
      for (let i = 0; i < candidates.length; i++) {
        cachedTokens[i] = cached[candidates[i]!]!;
        scores[i] = request.promptTokens > 0 ? Math.min(1, knownOr0(cachedTokens[i]!) / request.promptTokens) : 0;
      }
    },
  }),
};

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  queueThresholdTokens: z.number().positive().default(4_194_304).describe('queued tokens at which the score reaches 0'),
});

export const tokenLoadScorer = definePlugin({
  type: 'token-load-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Prefers endpoints with few uncached prompt tokens queued, those of this request included.',
  source: 'llm-d router',
  parameters,
  create: ({ queueThresholdTokens }) => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.cachedTokens();
      const queuedTokens = details.column('queuedTokens');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        const uncached = Math.max(0, request.promptTokens - knownOr0(cached[slot]!));
        queuedTokens[i] = knownOr0(view.queuedPrefillTokens[slot]!) + uncached;
        scores[i] = 1 - Math.min(1, queuedTokens[i]! / queueThresholdTokens);
      }
    },
  }),
});

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  matchLengthWeight: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('share of the score that goes by the length of the match instead of its part of the prompt'),
  matchLengthScaleTokens: z.number().positive().default(8192).describe('length of a match that counts in full'),
  prefixMatchInfoProducerName: z.string().optional().describe('taken and not needed: what is cached is always known'),
});

export const prefixCacheScorer = definePlugin({
  type: 'prefix-cache-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The share of the prompt cached at the endpoint; no regard to load.',
  source: 'Gateway API Inference Extension and llm-d router',
  parameters,
  create: ({ matchLengthWeight, matchLengthScaleTokens }) => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.usefulCachedTokens?.() ?? view.cachedTokens();
      const cachedTokens = details.column('cachedTokens');
      for (let i = 0; i < candidates.length; i++) {
        cachedTokens[i] = cached[candidates[i]!]!;
        const tokens = knownOr0(cachedTokens[i]!);
        const share = request.promptTokens > 0 ? Math.min(1, tokens / request.promptTokens) : 0;
        const length = Math.min(1, tokens / matchLengthScaleTokens);
        scores[i] = (1 - matchLengthWeight) * share + matchLengthWeight * length;
      }
    },
  }),
});

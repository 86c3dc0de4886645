import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  nonCachedTokens: z
    .int()
    .min(0)
    .default(0)
    .describe('prompt tokens not cached where decode would be, from which on a request is split; 0 splits nothing'),
  promptTokens: z.int().min(0).default(0).describe('shorter prompts are never split'),
});

export const prefixBasedPdDecider = definePlugin({
  type: 'prefix-based-pd-decider',
  kind: 'decider',
  summary: 'Splits a request when enough of its prompt is not cached where it would decode.',
  source: 'llm-d router; prompts are counted in tokens, not in characters over four',
  parameters,
  create: ({ nonCachedTokens, promptTokens: shortest }) => ({
    comparesPicks: false,
    decide({ request: { promptTokens }, view, decode }) {
      const cachedTokens = view.cachedTokens()[decode.picked[0]!]!;
      const uncachedTokens = Math.max(0, promptTokens - cachedTokens);
      const details = { promptTokens, cachedTokens, uncachedTokens, thresholdTokens: nonCachedTokens };
      if (nonCachedTokens === 0) return { split: false, reason: 'nonCachedTokens is 0', details };
      if (promptTokens < shortest) {
        return { split: false, reason: `${promptTokens} prompt tokens, fewer than ${shortest}`, details };
      }
      const split = uncachedTokens >= nonCachedTokens;
      const reason = `${uncachedTokens} uncached tokens, ${split ? 'at least' : 'fewer than'} ${nonCachedTokens}`;
      return { split, reason, details };
    },
  }),
});

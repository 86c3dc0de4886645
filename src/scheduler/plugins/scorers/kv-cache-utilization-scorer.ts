import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

export const kvCacheUtilizationScorer = definePlugin({
  type: 'kv-cache-utilization-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The free share of the KV cache, as the gauge has it.',
  source: 'Gateway API Inference Extension and llm-d router; an engine without the gauge counts as empty',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const kvUsage = details.column('kvUsage');
      for (let i = 0; i < candidates.length; i++) {
        kvUsage[i] = view.kvUsage[candidates[i]!]!;
        scores[i] = 1 - Math.min(1, Math.max(0, knownOr0(kvUsage[i]!)));
      }
    },
  }),
});

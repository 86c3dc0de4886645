import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  pressureSeconds: z.number().min(0).default(0.15).describe('seconds at half use'),
});

/** A full cache is no worse than this. */
const fullest = 0.999;

export const kvPressureCost = definePlugin({
  type: 'kv-pressure-cost',
  kind: 'scorer',
  unit: 'seconds',
  summary: 'A barrier in front of a full KV cache: nothing when empty, growing without bound as it fills.',
  source: 'SMG least_load: the waiting of an M/M/1 queue, k / (1 − k); an engine without the gauge counts as empty',
  parameters,
  create: ({ pressureSeconds }) => ({
    score({ candidates, view }, scores, details) {
      const kvUsage = details.column('kvUsage');
      for (let i = 0; i < candidates.length; i++) {
        kvUsage[i] = view.kvUsage[candidates[i]!]!;
        const used = Math.min(fullest, Math.max(0, knownOr0(kvUsage[i]!)));
        scores[i] = (pressureSeconds * used) / (1 - used);
      }
    },
  }),
});

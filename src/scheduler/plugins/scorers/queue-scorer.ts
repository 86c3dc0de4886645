import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { leastIsOne } from './share-of-range.ts';

export const queueScorer = definePlugin({
  type: 'queue-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The waiting gauge between its least (1) and its most (0) among the candidates; all equal is 1.',
  source: 'Gateway API Inference Extension and llm-d router; an engine without the gauge counts as one without a queue',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const waiting = details.column('waiting');
      for (let i = 0; i < candidates.length; i++) waiting[i] = view.waiting[candidates[i]!]!;
      leastIsOne(waiting.map(knownOr0), scores);
    },
  }),
});

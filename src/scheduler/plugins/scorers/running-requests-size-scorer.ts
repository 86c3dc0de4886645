import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { leastIsOne } from './share-of-range.ts';

export const runningRequestsSizeScorer = definePlugin({
  type: 'running-requests-size-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The running gauge between its least (1) and its most (0) among the candidates; all equal is 1.',
  source:
    'Gateway API Inference Extension and llm-d router; an engine without the gauge counts as one that runs nothing',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const running = details.column('running');
      for (let i = 0; i < candidates.length; i++) running[i] = view.running[candidates[i]!]!;
      leastIsOne(running.map(knownOr0), scores);
    },
  }),
});

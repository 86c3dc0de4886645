import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  tokensPerSecond: z.number().positive().default(2000).describe('one figure for every endpoint'),
});

export const drainTimeCost = definePlugin({
  type: 'drain-time-cost',
  kind: 'scorer',
  unit: 'seconds',
  summary: 'The time to drain the uncached prompt tokens queued at the endpoint at a fixed rate.',
  source:
    'SMG least_load; SMG adds a scraped queue and its own dispatches since the scrape, here both are the router’s count',
  parameters,
  create: ({ tokensPerSecond }) => ({
    score({ candidates, view }, scores, details) {
      const queued = details.column('queuedPrefillTokens');
      for (let i = 0; i < candidates.length; i++) {
        queued[i] = view.queuedPrefillTokens[candidates[i]!]!;
        scores[i] = knownOr0(queued[i]!) / tokensPerSecond;
      }
    },
  }),
});

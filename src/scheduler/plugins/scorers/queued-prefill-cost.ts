import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

export const queuedPrefillCost = definePlugin({
  type: 'queued-prefill-cost',
  kind: 'scorer',
  unit: 'seconds',
  summary: 'The wait behind prompts already sent to the endpoint and not yet computed.',
  source: "Signalbox: from the router's own ledger, at the speed learned of the endpoint; never from a gauge",
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const tokens = details.column('queuedPrefillTokens');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        tokens[i] = view.queuedPrefillTokens[slot]!;
        scores[i] = view.queuedPrefillSeconds[slot]!;
      }
    },
  }),
});

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

export const delayToOthersCost = definePlugin({
  type: 'delay-to-others-cost',
  kind: 'scorer',
  unit: 'seconds',
  summary:
    "The wait the request's prefill imposes on those already at the endpoint: its seconds times their number. The weight is the share of it that they feel.",
  source:
    'Signalbox; the product is LMetric’s (arXiv 2603.15202), added to the own wait instead of standing alone, so it never degenerates to 0',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const seconds = view.prefillSeconds();
      const inFlight = details.column('inFlight');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        inFlight[i] = view.inFlight[slot]!;
        scores[i] = seconds[slot]! * inFlight[i]!;
      }
    },
  }),
});

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { rendezvousOrder } from './rendezvous.ts';
import { shareOfLeast } from './share-of-least.ts';

const parameters = z.strictObject({
  prefixTokens: z.int().min(1).default(25).describe("tokens at the prompt's start that are its key"),
  meanLoadPercentage: z
    .number()
    .min(100)
    .default(125)
    .describe('requests an endpoint may have, in percent of the mean with this one'),
});

export const chwblScorer = definePlugin({
  type: 'chwbl-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    "Consistent hashing with bounded loads: the first endpoint in the order of the prompt's beginning that has not much more than the mean of requests.",
  source:
    'KubeAI PrefixHash (Mirrokni et al. 2016); its 100 characters are 25 tokens here, its ring of virtual nodes is rendezvous hashing',
  parameters,
  create: ({ prefixTokens, meanLoadPercentage }) => ({
    score(cycle, scores, details) {
      const { candidates, view } = cycle;
      const inFlight = details.column('inFlight');
      for (let i = 0; i < candidates.length; i++) inFlight[i] = view.inFlight[candidates[i]!]!;
      const key = view.prefixHash?.(prefixTokens) ?? null;
      if (key === null) {
        details.note('branch', 'no prompt to hash');
        shareOfLeast(inFlight, scores);
        return;
      }
      const total = inFlight.reduce((sum, each) => sum + each, 0) + 1;
      const limit = (total / candidates.length) * (meanLoadPercentage / 100);
      const order = rendezvousOrder(cycle, key);
      scores.fill(0);
      const chosen = order.find((i) => inFlight[i]! <= limit) ?? order[0];
      if (chosen !== undefined) scores[chosen] = 1;
      details.note('branch', chosen === order[0] ? 'own endpoint' : 'its own is over the bound');
      details.note('loadLimit', candidates.length === 0 ? null : limit);
    },
  }),
});

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { shareOfLeast } from './share-of-least.ts';

export const lmetricScorer = definePlugin({
  type: 'lmetric-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'The least product of prompt tokens to compute (queued ones and own) and requests there, this one included.',
  source:
    'LMetric (arXiv 2603.15202); at least one token and one request, so that an idle or fully cached endpoint does not make every product 0',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.cachedTokens();
      const prefillTokens = details.column('prefillTokens');
      const batchSize = details.column('batchSize');
      const product = details.column('product');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        const uncached = Math.max(0, request.promptTokens - knownOr0(cached[slot]!));
        prefillTokens[i] = Math.max(1, knownOr0(view.queuedPrefillTokens[slot]!) + uncached);
        batchSize[i] = view.inFlight[slot]! + 1;
        product[i] = prefillTokens[i]! * batchSize[i]!;
      }
      shareOfLeast(product, scores);
    },
  }),
});

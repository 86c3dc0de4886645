import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { shareOfLeast } from './share-of-least.ts';

const parameters = z.strictObject({
  cost: z
    .enum(['sum', 'lmetric'])
    .default('sum')
    .describe('`sum`: scale × prefill + decode; `lmetric`: prefill × (decode + 1)'),
  blockTokens: z.int().min(1).default(16),
  overlapScoreCredit: z.number().min(0).default(1),
  prefillLoadScale: z.number().min(0).default(1),
});

export const dynamoScorer = definePlugin({
  type: 'dynamo-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'The least cost in KV blocks: those to compute (queued and own, less cached) plus those kept by requests there.',
  source: 'NVIDIA Dynamo KV router 1.3',
  parameters,
  create: ({ cost, blockTokens, overlapScoreCredit, prefillLoadScale }) => ({
    score({ candidates, request, view }, scores, details) {
      const cached = view.cachedTokens();
      const prefillBlocks = details.column('prefillBlocks');
      const decodeBlocks = details.column('decodeBlocks');
      const costs = details.column('costBlocks');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        const credit = overlapScoreCredit * knownOr0(cached[slot]!);
        const prefillTokens = knownOr0(view.queuedPrefillTokens[slot]!) + request.promptTokens - credit;
        prefillBlocks[i] = Math.max(0, prefillTokens) / blockTokens;
        decodeBlocks[i] = (view.contextTokens[slot]! + request.promptTokens) / blockTokens;
        costs[i] =
          cost === 'sum'
            ? prefillLoadScale * prefillBlocks[i]! + decodeBlocks[i]!
            : prefillBlocks[i]! * (decodeBlocks[i]! + 1);
      }
      shareOfLeast(costs, scores);
    },
  }),
});

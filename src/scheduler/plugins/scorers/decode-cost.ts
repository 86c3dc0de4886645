import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  outputTokens: z.number().positive().default(200).describe('how long an answer is taken to be'),
  secondsPerContextToken: z
    .number()
    .positive()
    .default(2.1e-7)
    .describe('what each token held in the KV cache adds to a decode step'),
});

export const decodeCost = definePlugin({
  type: 'decode-cost',
  kind: 'scorer',
  unit: 'seconds',
  summary: 'How much longer an answer takes beside the requests already there: each step reads all that they hold.',
  source: 'Signalbox: tokens held by requests in flight, counted by the router, times steps of an answer',
  parameters,
  create: ({ outputTokens, secondsPerContextToken }) => ({
    score({ candidates, view }, scores, details) {
      const contextTokens = details.column('contextTokens');
      for (let i = 0; i < candidates.length; i++) {
        contextTokens[i] = view.contextTokens[candidates[i]!]!;
        scores[i] = contextTokens[i]! * secondsPerContextToken * outputTokens;
      }
    },
  }),
});

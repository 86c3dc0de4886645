import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  idleThreshold: z.int().min(0).default(0).describe('requests up to which an endpoint counts as idle'),
  maxBusyScore: z.number().min(0).max(1).default(1).describe('score of the least busy one that is not idle'),
});

export const activeRequestScorer = definePlugin({
  type: 'active-request-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Prefers endpoints with few requests in flight: 1 when idle, 0 for the busiest.',
  source: "llm-d router; the router's own count",
  parameters,
  create: ({ idleThreshold, maxBusyScore }) => ({
    score({ candidates, view }, scores, details) {
      const inFlight = details.column('inFlight');
      let most = 0;
      for (let i = 0; i < candidates.length; i++) {
        inFlight[i] = view.inFlight[candidates[i]!]!;
        most = Math.max(most, inFlight[i]!);
      }
      for (let i = 0; i < candidates.length; i++) {
        scores[i] = inFlight[i]! <= idleThreshold ? 1 : (maxBusyScore * (most - inFlight[i]!)) / most;
      }
    },
  }),
});

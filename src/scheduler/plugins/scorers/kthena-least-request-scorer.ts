import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

/** What a waiting request weighs against a running one. */
const waitingWeight = 100;

export const kthenaLeastRequestScorer = definePlugin({
  type: 'kthena-least-request-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Requests at the endpoint, those beyond the running ones a hundredfold, between none (1) and the most (0).',
  source: 'Kthena, least-request',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }, scores, details) {
      const base = details.column('base');
      let most = 0;
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        const inFlight = view.inFlight[slot]!;
        const running = view.running[slot]!;
        base[i] = inFlight + waitingWeight * knownOr0(Math.max(0, inFlight - running));
        most = Math.max(most, base[i]!);
      }
      for (let i = 0; i < candidates.length; i++) scores[i] = most === 0 ? 1 : (most - base[i]!) / most;
    },
  }),
});

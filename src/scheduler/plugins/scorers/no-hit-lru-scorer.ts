import { z } from 'zod';
import type { Decision } from '../../decision.ts';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  lruSize: z.int().min(1).default(1024).describe('endpoints remembered'),
});

/** Names of endpoints in the order of their last cold request, the longest ago first. */
type ColdOrder = Set<string>;

export const noHitLruScorer = definePlugin({
  type: 'no-hit-lru-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'Spreads requests that nobody has cached: 1 for endpoints that never got one, then by how long ago; 0.5 for all when somebody has it cached.',
  source: 'llm-d router',
  parameters,
  create: ({ lruSize }) => ({
    state: (): ColdOrder => new Set(),
    score({ candidates, view }, scores, details, state) {
      const cached = view.cachedTokens();
      if (candidates.some((slot) => knownOr0(cached[slot]!) > 0)) {
        scores.fill(0.5);
        details.note('lookup', 'match');
        return;
      }
      const order = [...(state as ColdOrder)];
      const places = Array.from(candidates, (slot) => order.indexOf(view.endpoints[slot]!.name));
      const used = places.filter((place) => place >= 0).sort((a, b) => a - b);
      const untouched = candidates.length - used.length;
      for (let i = 0; i < scores.length; i++) {
        const rank = places[i]! < 0 ? 0 : untouched + used.indexOf(places[i]!);
        scores[i] = scores.length === 1 ? 1 : 1 - rank / (scores.length - 1);
      }
      details.note('lookup', 'no match');
    },
    commit(state, { candidates, inputs, picked }: Decision) {
      if (picked < 0 || inputs.cachedTokens.some((tokens) => knownOr0(tokens) > 0)) return;
      const order = state as ColdOrder;
      const { endpoint } = candidates[picked]!;
      order.delete(endpoint);
      order.add(endpoint);
      for (const oldest of order) {
        if (order.size <= lruSize) break;
        order.delete(oldest);
      }
    },
  }),
});

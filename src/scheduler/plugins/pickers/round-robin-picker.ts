import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

interface Turn {
  count: number;
}

export const roundRobinPicker = definePlugin({
  type: 'round-robin-picker',
  kind: 'picker',
  unit: 'share',
  summary: 'Picks the candidates in turn, whatever the scores.',
  source: 'every load balancer; one counter per router, as in NGINX without weights',
  parameters: z.strictObject({}),
  create: () => ({
    state: (): Turn => ({ count: 0 }),
    pick({ candidates }, _totals, state) {
      const slot = candidates[(state as Turn).count % candidates.length]!;
      return { picked: [slot], tied: [slot] };
    },
    commit(state) {
      (state as Turn).count += 1;
    },
  }),
});

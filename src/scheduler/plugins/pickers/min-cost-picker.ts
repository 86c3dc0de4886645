import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { pickBest, pickerParameters } from './pick-best.ts';

const parameters = pickerParameters.extend({
  tolerance: z.number().min(0).default(0).describe('costs up to this share above the least count as equal to it'),
});

export const minCostPicker = definePlugin({
  type: 'min-cost-picker',
  kind: 'picker',
  unit: 'seconds',
  summary: 'Picks the least total cost in seconds; equal ones at random.',
  source: 'Signalbox',
  parameters,
  create: ({ maxNumOfEndpoints, tolerance }) => ({
    pick(cycle, totals) {
      if (tolerance === 0) return pickBest(cycle, totals, -1, maxNumOfEndpoints);
      const least = Math.min(...totals);
      const levelled = totals.map((total) => (total <= least * (1 + tolerance) ? least : total));
      return pickBest(cycle, levelled, -1, maxNumOfEndpoints);
    },
  }),
});

import { definePlugin } from '../../plugin.ts';
import { pickBest, pickerParameters } from './pick-best.ts';

export const weightedRandomPicker = definePlugin({
  type: 'weighted-random-picker',
  kind: 'picker',
  unit: 'share',
  summary: 'Picks at random, each endpoint as often as its total score says; with no score anywhere all alike.',
  source: 'llm-d router; sampling by Efraimidis and Spirakis (A-Res): the greatest of u^(1/weight)',
  parameters: pickerParameters,
  create: ({ maxNumOfEndpoints }) => ({
    pick(cycle, totals) {
      const isWeighted = totals.some((total) => total > 0);
      // The logarithm keeps small weights apart; what weighs nothing comes after all that weighs something.
      const keys = totals.map((total) => {
        const drawn = Math.log(1 - cycle.random.next());
        if (!isWeighted) return drawn;
        return total > 0 ? drawn / total : -Number.MAX_VALUE;
      });
      return pickBest(cycle, keys, 1, maxNumOfEndpoints);
    },
  }),
});

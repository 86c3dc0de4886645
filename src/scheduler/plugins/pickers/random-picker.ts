import { definePlugin } from '../../plugin.ts';
import { pickBest, pickerParameters } from './pick-best.ts';

export const randomPicker = definePlugin({
  type: 'random-picker',
  kind: 'picker',
  unit: 'share',
  summary: 'Picks at random, whatever the scores.',
  source: 'Gateway API Inference Extension',
  parameters: pickerParameters,
  create: ({ maxNumOfEndpoints }) => ({
    pick: (cycle) => pickBest(cycle, new Float64Array(cycle.candidates.length), 1, maxNumOfEndpoints),
  }),
});

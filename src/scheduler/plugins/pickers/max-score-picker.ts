import { definePlugin } from '../../plugin.ts';
import { pickBest, pickerParameters } from './pick-best.ts';

export const maxScorePicker = definePlugin({
  type: 'max-score-picker',
  kind: 'picker',
  unit: 'share',
  summary: 'Picks the highest total score; equal ones at random.',
  source: 'Gateway API Inference Extension',
  parameters: pickerParameters,
  create: ({ maxNumOfEndpoints }) => ({ pick: (cycle, totals) => pickBest(cycle, totals, 1, maxNumOfEndpoints) }),
});

import type { z } from 'zod';
import type { PickerDefinition } from '../../plugin.ts';
import { pickBest, pickerParameters } from './pick-best.ts';

export const minCostPicker: PickerDefinition<z.infer<typeof pickerParameters>> = {
  type: 'min-cost-picker',
  kind: 'picker',
  unit: 'seconds',
  summary: 'Picks the least total cost in seconds; equal ones at random.',
  source: 'Signalbox',
  parameters: pickerParameters,
  create: ({ maxNumOfEndpoints }) => ({ pick: (cycle, totals) => pickBest(cycle, totals, -1, maxNumOfEndpoints) }),
};

import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

export const alwaysDisaggPdDecider = definePlugin({
  type: 'always-disagg-pd-decider',
  kind: 'decider',
  summary: 'Splits every request.',
  source: 'llm-d router',
  parameters: z.strictObject({}),
  create: () => ({
    comparesPicks: false,
    decide: () => ({ split: true, reason: 'always', details: {} }),
  }),
});

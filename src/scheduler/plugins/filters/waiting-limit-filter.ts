import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  maxWaitingRequests: z.number().min(1).default(10).describe('requests waiting in an engine at which it is left out'),
});

export const waitingLimitFilter = definePlugin({
  type: 'waiting-limit-filter',
  kind: 'filter',
  summary: 'Leaves out engines with a long waiting queue, unless all have one.',
  source: 'Kthena, least-request filter; Kthena refuses the request when all are full, this lets it through',
  parameters,
  create: ({ maxWaitingRequests }) => ({
    drop({ candidates, view }, slot) {
      const isFull = (each: number): boolean => view.waiting[each]! >= maxWaitingRequests;
      return isFull(slot) && !candidates.every(isFull) ? `${view.waiting[slot]} requests wait` : null;
    },
  }),
});

import { z } from 'zod';
import type { Cycle, FilterDefinition } from '../../plugin.ts';
import { oncePerCycle } from './once-per-cycle.ts';

export const sessionAffinityFilter: FilterDefinition = {
  type: 'session-affinity-filter',
  kind: 'filter',
  summary: 'Keeps only the endpoint that served the session before, as long as it is there; else everything.',
  source: 'llm-d router (alpha); the token is verified at the door',
  parameters: z.strictObject({}),
  create() {
    const holderIsThere = oncePerCycle(({ request, view, candidates }: Cycle) =>
      candidates.some((slot) => view.endpoints[slot]!.name === request.sessionEndpoint),
    );
    return {
      drop(cycle, slot) {
        const isHolder = cycle.view.endpoints[slot]!.name === cycle.request.sessionEndpoint;
        return isHolder || !holderIsThere(cycle, undefined) ? null : 'the session belongs to another';
      },
    };
  },
};

import { z } from 'zod';
import { roleOf } from '../../endpoint.ts';
import type { FilterDefinition } from '../../plugin.ts';

export const prefillFilter: FilterDefinition = {
  type: 'prefill-filter',
  kind: 'filter',
  summary: 'Keeps endpoints that only prefill: role prefill.',
  source: 'llm-d-inference-scheduler 0.0.3',
  parameters: z.strictObject({}),
  create: () => ({
    drop({ view }, slot) {
      const role = roleOf(view.endpoints[slot]!);
      return role === 'prefill' ? null : `role is ${role ?? 'not set'}`;
    },
  }),
};

import { z } from 'zod';
import { roleOf } from '../../endpoint.ts';
import { definePlugin } from '../../plugin.ts';

const prefillingRoles = new Set(['prefill', 'encode-prefill', 'both', 'prefill-decode', 'encode-prefill-decode']);

export const prefillFilter = definePlugin({
  type: 'prefill-filter',
  kind: 'filter',
  summary: 'Keeps endpoints that prefill for others: role prefill, both or a combination with prefill.',
  source: 'llm-d-inference-scheduler 0.0.3; the combined roles as in later versions',
  parameters: z.strictObject({}),
  create: () => ({
    drop({ view }, slot) {
      const role = roleOf(view.endpoints[slot]!);
      return role !== null && prefillingRoles.has(role) ? null : `role is ${role ?? 'not set'}`;
    },
  }),
});

import { z } from 'zod';
import { roleOf } from '../../endpoint.ts';
import { definePlugin } from '../../plugin.ts';

const decodingRoles = new Set(['decode', 'both', 'prefill-decode', 'encode-prefill-decode']);

export const decodeFilter = definePlugin({
  type: 'decode-filter',
  kind: 'filter',
  summary: 'Keeps endpoints that decode: role decode, both or a combination with decode, or no role at all.',
  source: 'llm-d-inference-scheduler 0.0.3; the combined roles as in later versions',
  parameters: z.strictObject({}),
  create: () => ({
    drop({ view }, slot) {
      const role = roleOf(view.endpoints[slot]!);
      return role === null || decodingRoles.has(role) ? null : `role is ${role}`;
    },
  }),
});

import { z } from 'zod';
import type { SessionRule } from '../plugin.ts';

const attribute = 'attributes of requests are not known here; name a header';

/** How a session is told, as llm-d's session-affinity plugins take it. */
export const sessionParameters = {
  strategy: z
    .enum(['encoded_endpoint_header', 'session_id'])
    .default('encoded_endpoint_header')
    .describe('by the `x-session-token` of the last answer, sent back; or by an id of the client’s own')
    .meta({ examples: ['session_id'] }),
  sessionIdConfig: z
    .strictObject({
      sources: z
        .array(z.strictObject({ header: z.string().min(1), attribute: z.never(attribute).optional() }))
        .default([]),
      evictionTtlSeconds: z.number().min(0).default(0),
      evictionSweepSeconds: z.number().optional(),
    })
    .prefault({})
    .describe(
      'for `session_id`: `sources`, headers in their order (`x-session-id`), and `evictionTtlSeconds` unused (300)',
    )
    .meta({ examples: [{ sources: [{ header: 'x-session-id' }] }] }),
  encodedEndpointHeaderConfig: z
    .strictObject({ headerName: z.literal('x-session-token', 'the header is x-session-token').optional() })
    .optional()
    .describe('taken and not needed'),
  profileName: z.string().optional().describe('taken and not needed: it is the pick that serves'),
};

export function sessionRule({
  strategy,
  sessionIdConfig,
}: z.infer<z.ZodObject<typeof sessionParameters>>): SessionRule {
  if (strategy === 'encoded_endpoint_header') return { by: 'token' };
  const { sources, evictionTtlSeconds } = sessionIdConfig;
  return {
    by: 'id',
    headers: sources.length === 0 ? ['x-session-id'] : sources.map(({ header }) => header.toLowerCase()),
    ttlSeconds: evictionTtlSeconds === 0 ? 300 : evictionTtlSeconds,
  };
}

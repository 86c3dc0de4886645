import { z } from 'zod';

/**
 * The file by which whoever runs endpoints tells a router about them; rewritten whole (write beside, then rename)
 * at every change and watched by `fleet/discovery/file.ts`.
 */
export const endpointsFileSchema = z.strictObject({
  endpoints: z.array(
    z.strictObject({
      name: z.string().min(1),
      address: z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d+$/, 'expected host:port'),
      labels: z.record(z.string(), z.string()).default({}),
      /** False while the engine is loading or leaving: known, but given no new requests. */
      ready: z.boolean().default(true),
    }),
  ),
});

export type EndpointsFile = z.infer<typeof endpointsFileSchema>;

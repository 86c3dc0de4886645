import { z } from 'zod';

const common = {
  name: z.string().min(1),
  labels: z.record(z.string(), z.string()).default({}),
  /** False while the engine is loading or leaving: known, but given no new requests. */
  ready: z.boolean().default(true),
};

const endpoint = z.strictObject({
  ...common,
  address: z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d+$/, 'expected host:port'),
});

/** As llm-d's file discovery lists them: the port beside the address, IPv6 without brackets. */
const endpointWithPort = z
  .strictObject({
    ...common,
    namespace: z.string().optional(),
    address: z.union([z.ipv4(), z.ipv6(), z.hostname()]),
    port: z.union([z.string().regex(/^\d{1,5}$/, 'expected a port'), z.int().min(1).max(65535)]),
  })
  .transform(({ name, labels, ready, address, port }) => ({
    ...{ name, labels, ready },
    address: `${address.includes(':') ? `[${address}]` : address}:${port}`,
  }));

/**
 * The file by which whoever runs endpoints tells a router about them; rewritten whole (write beside, then rename)
 * at every change and watched by `fleet/discovery/endpoints-file.ts`.
 */
export const endpointsFileSchema = z.strictObject({ endpoints: z.array(z.union([endpoint, endpointWithPort])) });

export type EndpointsFile = z.infer<typeof endpointsFileSchema>;

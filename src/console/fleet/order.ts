import type { EndpointJson } from '../../admin/json.ts';

export const endpointOrders = ['name', 'in flight', 'queued', 'KV', 'cached', 'requests'] as const;
export type EndpointOrder = (typeof endpointOrders)[number];

const valueOf: Readonly<Record<Exclude<EndpointOrder, 'name'>, (endpoint: EndpointJson) => number | null>> = {
  'in flight': ({ inFlight }) => inFlight,
  queued: ({ queuedPrefillTokens }) => queuedPrefillTokens,
  KV: ({ kvUsage }) => kvUsage,
  cached: cachedShare,
  requests: ({ totals }) => totals.requests,
};

/** Of the prompt tokens whose answers said so, those that the engine had cached; null when none has said. */
export function cachedShare({ totals }: EndpointJson): number | null {
  return totals.measuredTokens === 0 ? null : totals.cachedTokens / totals.measuredTokens;
}

/** Names from A to Z; numbers from the largest, the unknown ones last. */
export function sortedEndpoints(endpoints: readonly EndpointJson[], by: EndpointOrder): EndpointJson[] {
  const named = endpoints.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  if (by === 'name') return named;
  const rank = (endpoint: EndpointJson): number => valueOf[by](endpoint) ?? -1;
  return named.toSorted((a, b) => rank(b) - rank(a));
}

import type { FleetView } from 'signalbox/plugin';

/** Requests in flight by the rack of the endpoint that has them; endpoints without the label share one. */
export function requestsPerRack(view: FleetView, slots: Int32Array, label: string): Map<string, number> {
  const requests = new Map<string, number>();
  for (const slot of slots) {
    const rack = view.endpoints[slot]?.labels[label] ?? '';
    requests.set(rack, (requests.get(rack) ?? 0) + view.inFlight[slot]!);
  }
  return requests;
}

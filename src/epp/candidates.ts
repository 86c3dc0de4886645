import { SignalboxError } from '../base/errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { StructValue } from './wire/struct.ts';

/** Where the data plane names the part of the pool that may be used. */
export const subsetNamespace = 'envoy.lb.subset_hint';
export const subsetName = 'x-gateway-destination-endpoint-subset';
/** The conformance tests' header that names the endpoints to choose among. */
export const selectionHeader = 'test-epp-endpoint-selection';

/** What may be chosen, as a list or separated by commas; null when nothing limits it. */
export function subsetOf(hint: StructValue | undefined): readonly string[] | null {
  if (hint === undefined) return null;
  const items = Array.isArray(hint) ? (hint as readonly StructValue[]) : [hint];
  return items
    .filter((item) => typeof item === 'string')
    .flatMap((item) => item.split(','))
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/**
 * The slots that no list names. A list has addresses (`ip:port`), or hosts without a port, which mean all of theirs.
 * @throws SignalboxError `no_endpoint` when that leaves none.
 */
export function excludedBy(lists: readonly (readonly string[] | null)[], fleet: Fleet): ReadonlySet<number> {
  const excluded = new Set<number>();
  const given = lists.filter((list) => list !== null).map((list) => new Set(list));
  if (given.length === 0) return excluded;
  const { slots } = fleet;
  for (const slot of slots) {
    const { address } = fleet.endpointAt(slot)!;
    const host = address.slice(0, address.lastIndexOf(':'));
    const bare = host.replace(/^\[|\]$/g, '');
    if (given.some((list) => !list.has(address) && !list.has(host) && !list.has(bare))) excluded.add(slot);
  }
  if (excluded.size === slots.length && slots.length > 0) {
    const named = [...new Set(given.flatMap((list) => [...list]))].slice(0, 8).join(', ');
    const message = `None of the endpoints that the request may use is in this pool: ${named === '' ? 'none was named' : named}.`;
    throw new SignalboxError('no_endpoint', message, { retryAfterSeconds: 1 });
  }
  return excluded;
}

import { hashText } from '../../../base/text-hash.ts';
import type { Cycle } from '../../plugin.ts';

/**
 * Positions of the candidates in the order in which a key prefers them: by the hash of key and name (rendezvous
 * hashing). As with a hash ring, an endpoint that comes or goes moves only its own keys; there is no ring to keep.
 */
export function rendezvousOrder({ candidates, view }: Cycle, key: number): number[] {
  const weights = Array.from(candidates, (slot) => hashText(view.endpoints[slot]!.name, key));
  return weights.map((_, position) => position).sort((a, b) => weights[b]! - weights[a]! || a - b);
}

import { setImmediate } from 'node:timers/promises';
import type { Fleet } from '../fleet/fleet.ts';
import { usualBlockTokens } from '../fleet/prefix-index/prefix-key.ts';
import type { EndpointBlocks } from './batch.ts';

/** Entries of the index looked at in one go: a millisecond or so. */
const entriesAtOnce = 8192;

/** What is known of blocks that were sent somewhere, in pieces, with requests served between them. */
export async function* snapshotOf(fleet: Fleet): AsyncGenerator<EndpointBlocks[]> {
  for (let from = 0; from >= 0;) {
    const bySlot = new Map<number, { low: number[]; high: number[] }>();
    from = fleet.prefixes.eachSent(from, entriesAtOnce, (slot, low, high) => {
      let found = bySlot.get(slot);
      if (found === undefined) bySlot.set(slot, (found = { low: [], high: [] }));
      found.low.push(low);
      found.high.push(high);
    });
    const sent: EndpointBlocks[] = [];
    for (const [slot, { low, high }] of bySlot) {
      const name = fleet.endpointAt(slot)?.name;
      if (name === undefined) continue;
      const hashes = { low: Uint32Array.from(low), high: Uint32Array.from(high) };
      sent.push({ name, tokensPerBlock: usualBlockTokens, runs: [hashes] });
    }
    if (sent.length > 0) yield sent;
    await setImmediate();
  }
}

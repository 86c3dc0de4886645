import { knownOrNull } from '../base/unknown.ts';
import { blockBytes } from '../base/block-hash.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Policy } from '../scheduler/policy.ts';

/** `/api/endpoints`: an entry per endpoint; unknown numbers are null. */
export function endpointsJson(fleet: Fleet, nowMs: number): object[] {
  return fleet.slots.map((slot) => {
    const { name, address, labels } = fleet.endpointAt(slot)!;
    return {
      name,
      address,
      labels,
      ready: fleet.isReady(slot),
      models: [...fleet.modelsAt(slot).keys()].sort(),
      inFlight: fleet.ledger.inFlight[slot],
      queuedPrefillTokens: fleet.ledger.queuedPrefillTokens[slot],
      waiting: knownOrNull(fleet.gauges.waiting[slot]),
      running: knownOrNull(fleet.gauges.running[slot]),
      kvUsage: knownOrNull(fleet.gauges.kvUsage[slot]),
      gaugeAgeMs: knownOrNull(nowMs - fleet.gauges.scrapedAtMs[slot]!),
      speed: knownOrNull(fleet.speed.relative[slot]),
      secondsPerOutputToken: knownOrNull(fleet.speed.secondsPerOutputToken[slot]),
    };
  });
}

/** `/api/prefixes`: how much of the prompts seen is thought to be cached where. */
export function prefixesJson(fleet: Fleet): object {
  const { prefixes, slots } = fleet;
  const blocks = prefixes.blocksPerSlot(Math.max(0, ...slots.map((slot) => slot + 1)));
  return {
    blocks: prefixes.blocks,
    indexBytes: prefixes.bytes,
    blockBytes,
    endpoints: slots.map((slot) => ({
      name: fleet.endpointAt(slot)!.name,
      blocks: blocks[slot],
      promptBytes: blocks[slot]! * blockBytes,
    })),
  };
}

/** `/api/policies`: what decides, and the how-many-th since the start it is. */
export function policiesJson(policy: Policy, generation: number): object {
  return {
    generation,
    name: policy.name,
    hash: policy.hash,
    profiles: [...policy.profiles.values()].map(({ name, filters, scorers, picker }) => ({
      name,
      filters: filters.map(({ plugin, type }) => ({ plugin, type })),
      scorers: scorers.map(({ plugin, type, unit, weight }) => ({ plugin, type, unit, weight })),
      picker: { plugin: picker.plugin, type: picker.type },
    })),
  };
}

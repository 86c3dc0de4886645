import type { FleetView } from '../scheduler/view.ts';

/** A gauge that is older says nothing. */
export const freshMs = 2000;
/** Above this share an engine begins to preempt. */
const fullShare = 0.95;
/** What is kept for higher priorities is no more than this share: more costs the others more than it is worth. */
const mostKeptShare = 0.15;

/** What tells of an endpoint's KV cache. */
type KvColumns = Pick<FleetView, 'inFlight' | 'contextTokens' | 'queuedPrefillTokens' | 'kvUsage' | 'gaugeAgeMs'>;

/**
 * Tokens that an endpoint's KV cache has room for, `keptTokens` being left free; infinite where its size is not known,
 * or nothing of ours is there.
 */
export function kvRoomTokens(view: KvColumns, slot: number, capacityTokens: number, keptTokens: number): number {
  if (view.inFlight[slot] === 0 || Number.isNaN(capacityTokens)) return Infinity;
  return (
    fullShare * capacityTokens -
    kvUsedTokens(view, slot, capacityTokens) -
    Math.min(keptTokens, mostKeptShare * capacityTokens)
  );
}

/**
 * By the ledger, which counts prompts in whole and no answers; by the gauge, where it is fresh, prompts that were sent
 * and are not computed come on top: prefixes are shared, and answers grow.
 */
export function kvUsedTokens(view: KvColumns, slot: number, capacityTokens: number): number {
  const counted = view.contextTokens[slot]!;
  const gauge = view.kvUsage[slot]! * capacityTokens;
  if (Number.isNaN(gauge) || view.gaugeAgeMs[slot]! > freshMs) return counted;
  return Math.min(gauge + view.queuedPrefillTokens[slot]!, Math.max(counted, gauge));
}

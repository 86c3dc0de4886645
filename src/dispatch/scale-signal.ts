import { kvUsedTokens } from '../admission/kv-room.ts';
import { noPrefix } from '../fleet/prefix-index/prefix-key.ts';
import type { Dispatch } from './dispatch.ts';

/** So busy endpoints should be, with others to take over. */
const targetShare = 0.7;
/** What waits should be gone within this time. */
const drainSeconds = 30;

const noSlots: ReadonlySet<number> = new Set();

interface ScaleSignal {
  /** How full the pool is: 1 is where requests begin to wait. The mean over its ready endpoints; NaN without any. */
  readonly saturation: number;
  /** Endpoints that would do what there is to do at 70 %, and what waits within half a minute; at least 1 while there is anything. */
  readonly desiredReplicas: number;
}

/** What an autoscaler should go by, as things are now. It averages by itself. */
export function scaleSignal({ fleet, clock, policy, bands, held }: Dispatch): ScaleSignal {
  const nowMs = clock.nowMs();
  const bound = policy.hold?.maxPrefillBacklogSeconds ?? policy.hold?.ttftTargetSeconds ?? Infinity;
  let full = 0;
  let busy = 0;
  const ready = fleet.slots.filter((slot) => fleet.isReady(slot));
  const view = fleet.view('', 0, noPrefix, nowMs, noSlots);
  for (const slot of ready) {
    const capacity = fleet.kvCapacityTokens[slot]!;
    const used = kvUsedTokens(view, slot, capacity) / capacity;
    const kvShare = Number.isNaN(used) ? 0 : used;
    full += Math.min(1, Math.max(view.queuedPrefillSeconds[slot]! / bound, kvShare));
    busy += Math.min(1, Math.max(fleet.speed.prefillShare(slot, nowMs), kvShare));
  }
  const waitingSeconds = bands.reduce((sum, { prefillSeconds }) => sum + prefillSeconds, 0);
  const least = held > 0 || fleet.ledger.total > 0 ? 1 : 0;
  return {
    saturation: ready.length === 0 ? NaN : full / ready.length,
    desiredReplicas: Math.max(least, Math.ceil(busy / targetShare + waitingSeconds / drainSeconds)),
  };
}

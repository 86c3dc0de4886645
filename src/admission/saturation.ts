import type { HoldRule } from '../scheduler/flow-rule.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { FleetView } from '../scheduler/view.ts';

/** A gauge that is older says nothing. */
const freshMs = 2000;
const fullKvShare = 0.98;
const roomyKvShare = 0.9;
/** A prompt that is long itself has room where less than this share of the target is queued. */
const shortShare = 0.25;
const lookAgainSeconds = 0.05;
/** Decoding is thought to be in time while it takes less than this share of what was asked for. */
const tpotMargin = 0.9;

/** What is known of engines beyond what the scheduler goes by. */
interface Capacities {
  /** By slot; NaN where the engine does not say. */
  readonly kvCapacityTokens: Float64Array;
  /** Seconds from one output token to the next there, as things are now. */
  tpotSeconds(slot: number, nowMs: number): number;
}

/** Why a request had better wait, and what would be queued there: the sooner that has drained, the sooner it may go. */
export interface Shortage {
  readonly slot: number;
  readonly what: 'prefill' | 'kv-cache' | 'decode';
  /** Seconds until another look makes sense, by what is known now. */
  readonly seconds: number;
}

/** What keeps the request from going to `picked` now; null when it may. An endpoint with little to do is never short. */
export function shortageOf(
  view: FleetView,
  picked: number,
  request: SchedulingRequest,
  rule: HoldRule,
  capacities: Capacities,
): Shortage | null {
  return (
    prefillShortage(view, picked, request, rule) ??
    kvShortage(view, request, capacities) ??
    decodeShortage(view, picked, request, capacities)
  );
}

function prefillShortage(
  view: FleetView,
  picked: number,
  request: SchedulingRequest,
  { maxPrefillBacklogSeconds, ttftTargetSeconds }: HoldRule,
): Shortage | null {
  const queued = view.queuedPrefillSeconds;
  if (maxPrefillBacklogSeconds !== null) {
    const seconds = queued[picked]! - maxPrefillBacklogSeconds;
    return seconds > 0 ? { slot: picked, what: 'prefill', seconds } : null;
  }
  const target = request.caller?.ttftTargetSeconds ?? ttftTargetSeconds;
  // Cheap where there is room, which is nearly always: what is queued alone decides before own prefills are worked out.
  let slot = -1;
  let least = Infinity;
  for (const each of view.eligible) {
    if (queued[each]! <= target * shortShare) return null;
    if (queued[each]! < least) [slot, least] = [each, queued[each]!];
  }
  const own = view.prefillSeconds();
  for (const each of view.eligible) if (queued[each]! + own[each]! <= target) return null;
  return { slot, what: 'prefill', seconds: Math.min(least - target * shortShare, least + own[slot]! - target) };
}

function kvShortage(view: FleetView, { promptTokens }: SchedulingRequest, capacities: Capacities): Shortage | null {
  for (const slot of view.eligible) if (hasKvRoom(view, slot, promptTokens, capacities)) return null;
  return { slot: view.eligible[0]!, what: 'kv-cache', seconds: lookAgainSeconds };
}

/** Full by the ledger, which counts prompts in whole, only if the engine does not say otherwise: prefixes are shared. */
function hasKvRoom(view: FleetView, slot: number, promptTokens: number, { kvCapacityTokens }: Capacities): boolean {
  if (view.inFlight[slot] === 0) return true;
  const saysHow = view.gaugeAgeMs[slot]! <= freshMs && !Number.isNaN(view.kvUsage[slot]!);
  if (saysHow && view.kvUsage[slot]! >= fullKvShare && view.waiting[slot]! > 0) return false;
  if (saysHow && view.kvUsage[slot]! < roomyKvShare) return true;
  return !(view.contextTokens[slot]! + promptTokens > kvCapacityTokens[slot]!);
}

function decodeShortage(
  view: FleetView,
  picked: number,
  { caller }: SchedulingRequest,
  capacities: Capacities,
): Shortage | null {
  const target = caller?.tpotTargetSeconds ?? null;
  if (target === null || view.inFlight[picked] === 0) return null;
  const isSlow = capacities.tpotSeconds(picked, view.nowMs) > target * tpotMargin;
  return isSlow ? { slot: picked, what: 'decode', seconds: lookAgainSeconds } : null;
}

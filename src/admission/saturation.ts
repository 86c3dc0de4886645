import type { HoldRule } from '../scheduler/flow-rule.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { FleetView } from '../scheduler/view.ts';
import { freshMs } from './kv-room.ts';

/** A prompt that is long itself has room where less than this share of the target is queued. */
const shortShare = 0.25;
/** Room in KV caches and time between tokens are looked at again after this. */
export const lookAgainSeconds = 0.05;
/** Decoding is thought to be in time while it takes less than this share of what was asked for. */
const tpotMargin = 0.9;
/** Nobody waits for decoding to become faster any more when the first token would otherwise come this close to its target. */
const lastCallSeconds = 0.5;

interface Speeds {
  /** Seconds from one output token to the next there, as things are now. */
  tpotSeconds(slot: number, nowMs: number): number;
}

/** Why a request had better wait, and what would be queued there: the sooner that has drained, the sooner it may go. */
export interface Shortage {
  readonly slot: number;
  readonly what: 'prefill' | 'kv-cache' | 'decode' | 'utilization';
  /** Seconds until another look makes sense, by what is known now. */
  readonly seconds: number;
}

/**
 * What keeps the request from going to `picked` now; null when it may. An endpoint with little to do is never short.
 * `waitedSeconds`: so long it has waited already.
 */
export function shortageOf(
  view: FleetView,
  picked: number,
  request: SchedulingRequest,
  rule: HoldRule,
  speeds: Speeds,
  waitedSeconds: number,
): Shortage | null {
  if (rule.utilization !== null) return utilizationShortage(view, picked, rule.utilization);
  return prefillShortage(view, picked, request, rule) ?? decodeShortage(view, picked, request, speeds, waitedSeconds);
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

function decodeShortage(
  view: FleetView,
  picked: number,
  { caller }: SchedulingRequest,
  speeds: Speeds,
  waitedSeconds: number,
): Shortage | null {
  const target = caller?.tpotTargetSeconds ?? null;
  if (target === null || view.inFlight[picked] === 0) return null;
  const ttftSeconds = waitedSeconds + view.queuedPrefillSeconds[picked]! + view.prefillSeconds()[picked]!;
  // An answer that is late between its tokens is better than none.
  if (ttftSeconds > (caller?.ttftTargetSeconds ?? Infinity) - lastCallSeconds) return null;
  const isSlow = speeds.tpotSeconds(picked, view.nowMs) > target * tpotMargin;
  return isSlow ? { slot: picked, what: 'decode', seconds: lookAgainSeconds } : null;
}

/** llm-d's `utilization-detector`: the mean over endpoints of the larger share; an endpoint that says nothing is full. */
function utilizationShortage(
  view: FleetView,
  picked: number,
  { queueDepth, kvUsage }: NonNullable<HoldRule['utilization']>,
): Shortage | null {
  let sum = 0;
  for (const slot of view.eligible) {
    const isFresh = view.gaugeAgeMs[slot]! <= freshMs;
    sum += isFresh ? Math.max(view.waiting[slot]! / queueDepth, view.kvUsage[slot]! / kvUsage) : 1;
  }
  return sum >= view.eligible.length ? { slot: picked, what: 'utilization', seconds: lookAgainSeconds } : null;
}

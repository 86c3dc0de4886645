import type { Schedule } from '../scheduler/schedule.ts';
import type { FleetView } from '../scheduler/view.ts';

export interface Place {
  readonly slot: number;
  /** Leading prompt tokens thought to be cached there. */
  readonly cachedTokens: number;
}

/** Where a request goes. */
export interface Choice extends Place {
  /** Where its prompt is computed before, best first: the one picked and the one to try next. Empty where it is not split. */
  readonly prefill: readonly Place[];
}

const notSplit: readonly Place[] = [];

/** What the scheduler chose; null when nothing was left. */
export function choiceOf(view: FleetView, result: Schedule): Choice | null {
  const slot = result.picked[0];
  if (slot === undefined) return null;
  const cached = view.cachedTokens();
  if (result.prefill < 0) return { slot, cachedTokens: cached[slot]!, prefill: notSplit };
  const placeAt = (each: number): Place => ({ slot: each, cachedTokens: cached[each]! });
  return { ...placeAt(slot), prefill: prefillSlots(view, result, slot).map(placeAt) };
}

/** The slot that would compute the prompt. */
export function computingSlot({ slot, prefill }: Choice): number {
  return prefill[0]?.slot ?? slot;
}

function prefillSlots(view: FleetView, { profiles, prefill, prefillPicked }: Schedule, decode: number): number[] {
  const [picked] = prefillPicked;
  const record = profiles[prefill];
  if (picked === undefined || record === undefined) return [];
  const sign = record.scorers[0]?.unit === 'seconds' ? 1 : -1;
  let next: { slot: number; cost: number } | null = null;
  for (const [at, candidate] of record.scored.entries()) {
    const slot = view.eligible[candidate]!;
    const cost = sign * record.totals[at]!;
    if (slot !== picked && slot !== decode && (next === null || cost < next.cost)) next = { slot, cost };
  }
  return next === null ? [picked] : [picked, next.slot];
}

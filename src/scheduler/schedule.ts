import { numbers, wholeNumbers } from '../base/numbers.ts';
import { seededRandom } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import type { ProfileRecord } from './decision.ts';
import type { Cycle, Details, ProfileRun, Progress, Verdict } from './plugin.ts';
import type { Policy, PolicyStates, Profile } from './policy.ts';
import type { SchedulingRequest } from './request.ts';
import type { FleetView } from './view.ts';

/** What the scheduler decided. Indexes in the records are positions in `view.eligible`. */
export interface Schedule {
  readonly profiles: readonly ProfileRecord[];
  /** Slots in order of preference, by the profile that serves; empty when nothing could be picked. */
  readonly picked: readonly number[];
  /** Index into `profiles` of the one that serves; -1 when it did not run. */
  readonly primary: number;
  /** The same of the one whose pick computes the prompt; -1 where that is where it is served. */
  readonly prefill: number;
  /** Slots that may compute the prompt, in order of preference; empty likewise. */
  readonly prefillPicked: readonly number[];
  readonly verdict: Verdict | null;
}

/** Where somebody measures what plugins take. */
export interface Probe {
  nowMs(): number;
  took(
    point: 'Filter' | 'Scorer' | 'Picker',
    plugin: { readonly type: string; readonly plugin: string },
    ms: number,
  ): void;
}

/**
 * Filters, scores and picks, once for each profile the handler asks for. Pure: the same arguments give the same answer.
 * `states` are the policy's plugins' memories (`newStates`); only `commit` and `finish` change them.
 */
export function schedule(
  policy: Policy,
  states: PolicyStates,
  request: SchedulingRequest,
  view: FleetView,
  seed: number,
  probe: Probe | null = null,
): Schedule {
  const random = seededRandom(seed);
  const positions = positionsOf(view);
  const profiles: ProfileRecord[] = [];
  const done: ProfileRun[] = [];
  const progress: Progress = { request, view, done };
  for (;;) {
    const name = policy.handler.next(progress);
    const profile = name === null ? undefined : policy.profiles.get(name);
    if (profile === undefined || done.length > policy.profiles.size) break;
    const { record, picked, total } = runProfile(profile, states, request, view, random, positions, probe);
    profiles.push(record);
    done.push({ profile: profile.name, picked, total });
  }
  const { serves, prefills, verdict } = policy.handler.settle(progress);
  const primary = done.findIndex((each) => each.profile === serves);
  const prefill = prefills === null ? -1 : done.findIndex((each) => each.profile === prefills);
  return {
    profiles,
    primary,
    picked: done[primary]?.picked ?? [],
    prefill,
    prefillPicked: done[prefill]?.picked ?? [],
    verdict,
  };
}

function runProfile(
  profile: Profile,
  states: PolicyStates,
  request: SchedulingRequest,
  view: FleetView,
  random: Random,
  positions: Positions,
  probe: Probe | null,
): { record: ProfileRecord; picked: readonly number[]; total: number } {
  const bySlot = positions.bySlot;
  const positionsIn = (slots: ArrayLike<number>): Int32Array => {
    const found = wholeNumbers(slots.length);
    for (let i = 0; i < found.length; i++) found[i] = bySlot[slots[i]!]!;
    return found;
  };
  let candidates = view.eligible;
  /** Their positions; as they change only where something is dropped, most records share them. */
  let scored = positions.all;

  const filters = profile.filters.map(({ plugin, type, instance, stateIndex }) => {
    const cycle: Cycle = { request, view, candidates, random };
    const dropped: { candidate: number; reason: string }[] = [];
    let kept: number[] | null = null;
    const startMs = probe?.nowMs() ?? 0;
    for (let i = 0; i < candidates.length; i++) {
      const slot = candidates[i]!;
      const reason = instance.drop(cycle, slot, states[stateIndex]);
      if (reason === null) kept?.push(slot);
      else {
        kept ??= Array.from(candidates.subarray(0, i));
        dropped.push({ candidate: bySlot[slot]!, reason });
      }
    }
    probe?.took('Filter', { type, plugin }, probe.nowMs() - startMs);
    if (kept !== null) {
      candidates = Int32Array.from(kept);
      scored = positionsIn(kept);
    }
    return { plugin, type, kept: scored, dropped };
  });

  const cycle: Cycle = { request, view, candidates, random };
  const totals = numbers(candidates.length);
  const scorers = profile.scorers.map(({ plugin, type, instance, unit, weight, stateIndex }) => {
    const scores = numbers(candidates.length);
    const details = new DetailColumns(candidates.length);
    const startMs = probe?.nowMs() ?? 0;
    instance.score(cycle, scores, details, states[stateIndex]);
    probe?.took('Scorer', { type, plugin }, probe.nowMs() - startMs);
    for (let i = 0; i < scores.length; i++) totals[i]! += weight * scores[i]!;
    return { plugin, type, unit, weight, scores, columns: details.columns, notes: details.notes };
  });

  const { plugin, type, instance, stateIndex } = profile.picker;
  const startMs = probe?.nowMs() ?? 0;
  const { picked, tied } =
    candidates.length === 0 ? { picked: [], tied: [] } : instance.pick(cycle, totals, states[stateIndex]);
  probe?.took('Picker', { type, plugin }, probe.nowMs() - startMs);
  return {
    record: {
      name: profile.name,
      candidates: positions.all,
      filters,
      scored,
      scorers,
      totals,
      picker: { plugin, type, tied: positionsIn(tied), picked: positionsIn(picked) },
    },
    picked,
    total: picked.length === 0 ? NaN : totals[candidates.indexOf(picked[0]!)]!,
  };
}

interface Positions {
  /** Position in `view.eligible` by slot. */
  readonly bySlot: Int32Array;
  /** Every position, in order. */
  readonly all: Int32Array;
}

/** By the list of slots, which stays the same one until the fleet changes. */
const positionsBySlots = new WeakMap<Int32Array, Positions>();

function positionsOf({ eligible, endpoints }: FleetView): Positions {
  let positions = positionsBySlots.get(eligible);
  if (positions === undefined) {
    const bySlot = new Int32Array(endpoints.length).fill(-1);
    for (let i = 0; i < eligible.length; i++) bySlot[eligible[i]!] = i;
    positions = { bySlot, all: Int32Array.from(eligible, (_, index) => index) };
    positionsBySlots.set(eligible, positions);
  }
  return positions;
}

class DetailColumns implements Details {
  readonly columns: Record<string, Float64Array> = {};
  readonly notes: Record<string, number | string | null> = {};
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
  }

  column(name: string): Float64Array {
    return (this.columns[name] ??= numbers(this.#length));
  }

  note(name: string, value: number | string | null): void {
    this.notes[name] = value;
  }
}

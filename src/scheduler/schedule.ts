import { wholeNumbers } from '../base/numbers.ts';
import { seededRandom } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import type { ProfileRecord } from './decision.ts';
import type { Cycle, Progress, Verdict } from './plugin.ts';
import type { Policy, PolicyStates, Profile } from './policy.ts';
import type { SchedulingRequest } from './request.ts';
import { ScoredProfile, ScoreSheet } from './score-sheet.ts';
import type { FleetView } from './view.ts';

/** What the scheduler decided. Indexes in the records are positions in `view.eligible`. */
export interface Schedule {
  readonly profiles: readonly ScoredProfile[];
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
  // Lists that grow have room to spare, and these are kept with every Decision.
  let profiles: readonly ScoredProfile[] = [];
  const progress: Writable<Progress> = { request, view, done: [] };
  for (;;) {
    const name = policy.handler.next(progress);
    const profile = name === null ? undefined : policy.profiles.get(name);
    if (profile === undefined || progress.done.length > policy.profiles.size) break;
    const { record, picked, total } = runProfile(profile, states, request, view, random, positions, probe);
    profiles = [...profiles, record];
    progress.done = [...progress.done, { profile: profile.name, picked, total }];
  }
  const { serves, prefills, verdict } = policy.handler.settle(progress);
  const { done } = progress;
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

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function runProfile(
  profile: Profile,
  states: PolicyStates,
  request: SchedulingRequest,
  view: FleetView,
  random: Random,
  positions: Positions,
  probe: Probe | null,
): { record: ScoredProfile; picked: readonly number[]; total: number } {
  const { bySlot } = positions;
  let candidates = view.eligible;
  /** Their positions; as they change only where something is dropped, most records share them. */
  let scored = positions.all;

  let cycle: Cycle = { request, view, candidates, random };
  const untouched = untouchedBy(profile, positions);
  let filters = untouched;
  for (let which = 0; which < profile.filters.length; which++) {
    const { plugin, type, instance, stateIndex } = profile.filters[which]!;
    let dropped = noneDropped;
    let kept: number[] | null = null;
    const startMs = probe?.nowMs() ?? 0;
    for (let i = 0; i < candidates.length; i++) {
      const slot = candidates[i]!;
      const reason = instance.drop(cycle, slot, states[stateIndex]);
      if (reason === null) kept?.push(slot);
      else {
        if (kept === null) {
          kept = Array.from(candidates.subarray(0, i));
          dropped = [];
        }
        dropped.push({ candidate: bySlot[slot]!, reason });
      }
    }
    probe?.took('Filter', { type, plugin }, probe.nowMs() - startMs);
    if (kept !== null) {
      candidates = Int32Array.from(kept);
      cycle = { request, view, candidates, random };
      scored = positionsIn(kept, positions);
      if (filters === untouched) filters = untouched.slice();
    }
    if (filters !== untouched) filters[which] = { plugin, type, kept: scored, dropped };
  }

  const sheet = sheetOf(profile);
  sheet.begin(candidates.length);
  const { totals } = sheet;
  for (let which = 0; which < profile.scorers.length; which++) {
    const { plugin, type, instance, weight, stateIndex } = profile.scorers[which]!;
    const own = sheet.scorers[which]!;
    own.begin(candidates.length);
    const startMs = probe?.nowMs() ?? 0;
    instance.score(cycle, own.scores, own, states[stateIndex]);
    probe?.took('Scorer', { type, plugin }, probe.nowMs() - startMs);
    own.end();
    const { scores } = own;
    for (let i = 0; i < scores.length; i++) totals[i]! += weight * scores[i]!;
  }

  const { plugin, type, instance, stateIndex } = profile.picker;
  const startMs = probe?.nowMs() ?? 0;
  const { picked, tied } = candidates.length === 0 ? nothing : instance.pick(cycle, totals, states[stateIndex]);
  probe?.took('Picker', { type, plugin }, probe.nowMs() - startMs);
  const picker = { plugin, type, tied: positionsIn(tied, positions), picked: positionsIn(picked, positions) };
  return {
    record: new ScoredProfile(sheet, positions.all, filters, scored, picker),
    picked,
    total: picked.length === 0 ? NaN : totals[candidates.indexOf(picked[0]!)]!,
  };
}

type FilterRecord = ProfileRecord['filters'][number];
type Dropped = FilterRecord['dropped'][number];

const noneDropped: Dropped[] = [];
const nothing = { picked: [], tied: [] };

/** By profile: what its scorers write is copied into the record, so the next run may write over it. */
const sheets = new WeakMap<Profile, ScoreSheet>();

function sheetOf(profile: Profile): ScoreSheet {
  let sheet = sheets.get(profile);
  if (sheet === undefined) {
    sheet = new ScoreSheet(profile);
    sheets.set(profile, sheet);
  }
  return sheet;
}

interface Positions {
  /** Position in `view.eligible` by slot. */
  readonly bySlot: Int32Array;
  /** Every position, in order. */
  readonly all: Int32Array;
  /** Each position alone, as most picks are. */
  readonly alone: (Int32Array | undefined)[];
  /** What the filters of a profile left, where that is all. */
  readonly untouched: Map<Profile, FilterRecord[]>;
}

/** By the list of slots, which stays the same one until the fleet changes. */
const positionsBySlots = new WeakMap<Int32Array, Positions>();

function positionsOf({ eligible, endpoints }: FleetView): Positions {
  let positions = positionsBySlots.get(eligible);
  if (positions === undefined) {
    const bySlot = new Int32Array(endpoints.length).fill(-1);
    for (let i = 0; i < eligible.length; i++) bySlot[eligible[i]!] = i;
    positions = { bySlot, all: Int32Array.from(eligible, (_, index) => index), alone: [], untouched: new Map() };
    positionsBySlots.set(eligible, positions);
  }
  return positions;
}

function untouchedBy(profile: Profile, { all, untouched }: Positions): FilterRecord[] {
  let records = untouched.get(profile);
  if (records === undefined) {
    records = profile.filters.map(({ plugin, type }) => ({ plugin, type, kept: all, dropped: noneDropped }));
    untouched.set(profile, records);
  }
  return records;
}

function positionsIn(slots: readonly number[], { bySlot, alone }: Positions): Int32Array {
  if (slots.length === 1) {
    const position = bySlot[slots[0]!]!;
    return (alone[position] ??= Int32Array.of(position));
  }
  const found = wholeNumbers(slots.length);
  for (let i = 0; i < found.length; i++) found[i] = bySlot[slots[i]!]!;
  return found;
}

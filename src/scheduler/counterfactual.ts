import type { Decision, DecisionInputs, ProfileRecord } from './decision.ts';
import { inputsCopied } from './input-columns.ts';
import type { Policy } from './policy.ts';
import { scheduleAgain } from './rerun.ts';

type InputUnit = 'requests' | 'tokens' | 'seconds' | 'share' | 'milliseconds';
type InputName = Exclude<keyof DecisionInputs, 'speed' | 'prefillShare'>;

/** What one number would have had to be, all else equal, for the pick to be another. */
export interface Flip {
  /** Whose number: an index into `Decision.candidates`. */
  readonly candidate: number;
  readonly input: InputName;
  readonly unit: InputUnit;
  /** As recorded; NaN where it was not known. */
  readonly from: number;
  /** The nearest value found at which the pick is another; null when none is in range. */
  readonly to: number | null;
  /** What is picked then, -1 when nothing is; null without `to`. */
  readonly picks: number | null;
  /** The change relative to what was there, or to what one request like this brings where that is more. */
  readonly size: number | null;
}

interface ProfileFlips {
  readonly profile: string;
  readonly picked: number;
  /** The next best of those scored; null when there was no other. */
  readonly runnerUp: number | null;
  /** Of every number to which the policy reacts, the smallest change first; those that flip nothing come last. */
  readonly flips: readonly Flip[];
}

/** Either the answer, or in a few words why it cannot be known. */
export type Counterfactual =
  | { readonly unknown: null; readonly profiles: readonly ProfileFlips[] }
  | { readonly unknown: string; readonly profiles: readonly [] };

/** Seconds (in any scale) that prefilling `uncached` tokens behind `cached` ones takes: what ties the two inputs. */
type PrefillCost = (uncached: number, cached: number) => number;

interface Input {
  readonly name: InputName;
  readonly unit: InputUnit;
  /** Values are tried in steps of 1 / this. */
  readonly stepsPerUnit: number;
  readonly most: (decision: Decision, from: number) => number;
}

/** A range without an end of its own: far enough past what was recorded. */
const atLeast =
  (limit: number) =>
  (_decision: Decision, from: number): number =>
    Math.max(limit, 2 * from);

const requests = { unit: 'requests', stepsPerUnit: 1, most: atLeast(10_000) } as const;
const tokens = { unit: 'tokens', stepsPerUnit: 1, most: atLeast(10_000_000) } as const;
const seconds = { unit: 'seconds', stepsPerUnit: 1000, most: atLeast(3600) } as const;

const inputs: readonly Input[] = [
  { name: 'cachedTokens', ...tokens, most: ({ promptTokens }) => promptTokens },
  { name: 'queuedPrefillTokens', ...tokens },
  { name: 'queuedPrefillSeconds', ...seconds },
  { name: 'contextTokens', ...tokens },
  { name: 'prefillSeconds', ...seconds },
  { name: 'inFlight', ...requests },
  { name: 'othersInFlight', ...requests },
  { name: 'waiting', ...requests },
  { name: 'running', ...requests },
  { name: 'kvUsage', unit: 'share', stepsPerUnit: 1000, most: () => 1 },
  { name: 'ageMs', unit: 'milliseconds', stepsPerUnit: 1, most: atLeast(3_600_000) },
];

/**
 * What would have changed a decision: for each profile, and each number known of its pick and its runner-up, the value
 * at which the profile picks another. Found by deciding again, outwards in doubling steps and then by bisection: at most
 * about 80 runs per number, with the recorded seed, so that chance decides ties as it did. It yields after each number:
 * with thousands of endpoints the whole takes long enough that others should get their turn in between.
 */
export function* counterfactual(
  decision: Decision,
  policy: Policy,
  prefillCost: PrefillCost,
): Generator<undefined, Counterfactual> {
  const unknown = (reason: string): Counterfactual => ({ unknown: reason, profiles: [] });
  if (decision.policy.hash !== policy.hash) return unknown('the policy has been replaced since');
  if (policy.stateful.length > 0) return unknown('the policy remembers earlier requests, so it cannot decide again');
  const again = scheduleAgain(decision, policy);
  if (again.hashedPrompt) return unknown('the policy hashes the prompt, which is not kept');
  if ((again.picked[0] ?? -1) !== decision.picked) return unknown('deciding again does not give the same pick');

  const profiles: ProfileFlips[] = [];
  for (const [index, record] of decision.profiles.entries()) {
    const [picked] = record.picker.picked;
    if (picked === undefined) continue;
    const runnerUp = runnerUpOf(record, picked);
    const search = new Search(decision, policy, prefillCost, index);
    const flips: Flip[] = [];
    for (const candidate of runnerUp === null ? [picked] : [picked, runnerUp]) {
      for (const input of inputs) {
        const flip = search.flipOf(candidate, input);
        if (flip !== null) flips.push(flip);
        yield;
      }
    }
    flips.sort((a, b) => (a.size ?? Infinity) - (b.size ?? Infinity) || 0);
    profiles.push({ profile: record.name, picked, runnerUp, flips });
  }
  return { unknown: null, profiles };
}

/** The decision's inputs with one number changed, and what hangs on it. */
function withInput(
  { inputs: recorded, promptTokens }: Decision,
  candidate: number,
  input: InputName,
  value: number,
  prefillCost: PrefillCost,
): DecisionInputs {
  const set = (column: Float64Array, to: number): Float64Array => {
    const copy = Float64Array.from(column);
    copy[candidate] = to;
    return copy;
  };
  const changed = inputsCopied(recorded);
  changed[input] = set(recorded[input], value);
  if (input !== 'cachedTokens') return changed;
  // What is cached need not be computed: the own prefill follows, at the speed that the recorded one tells of.
  const costAt = (cached: number): number => prefillCost(Math.max(0, promptTokens - cached), cached);
  const slowness = recorded.prefillSeconds[candidate]! / costAt(recorded.cachedTokens[candidate]! || 0);
  changed.prefillSeconds = set(recorded.prefillSeconds, slowness * costAt(value));
  return changed;
}

function runnerUpOf({ scored, totals, scorers }: ProfileRecord, picked: number): number | null {
  const sign = scorers[0]?.unit === 'seconds' ? -1 : 1;
  let best: { candidate: number; total: number } | null = null;
  for (const [i, candidate] of scored.entries()) {
    const total = sign * totals[i]!;
    if (candidate !== picked && (best === null || total > best.total)) best = { candidate, total };
  }
  return best?.candidate ?? null;
}

class Search {
  readonly #decision: Decision;
  readonly #policy: Policy;
  readonly #prefillCost: PrefillCost;
  readonly #profile: number;
  readonly #recorded: ProfileRecord;

  constructor(decision: Decision, policy: Policy, prefillCost: PrefillCost, profile: number) {
    this.#decision = decision;
    this.#policy = policy;
    this.#prefillCost = prefillCost;
    this.#profile = profile;
    this.#recorded = decision.profiles[profile]!;
  }

  /** Null when the profile does not react to this number. */
  flipOf(candidate: number, input: Input): Flip | null {
    const from = this.#decision.inputs[input.name][candidate]!;
    const most = Math.floor(input.most(this.#decision, from || 0) * input.stepsPerUnit);
    const valueOf = (step: number): number => step / input.stepsPerUnit;
    const run = (step: number): ProfileRecord | undefined => this.#run(candidate, input.name, valueOf(step));
    if (![0, most].some((step) => reacts(this.#recorded, run(step)))) return null;

    const isOther = (step: number): boolean => this.#pickOf(run(step)) !== this.#recorded.picker.picked[0];
    // Unknown lies below everything known: 0 is the first to try.
    const above = Number.isNaN(from) ? -1 : Math.floor(from * input.stepsPerUnit);
    const below = Number.isNaN(from) ? 0 : Math.ceil(from * input.stepsPerUnit);
    const found = [firstStep(above, most, isOther), firstStep(below, 0, isOther)].flatMap((step) =>
      step === null ? [] : { step, change: Math.abs(valueOf(step) - (from || 0)) },
    );
    const nearest = found.sort((a, b) => a.change - b.change)[0];
    const flip = { candidate, input: input.name, unit: input.unit, from };
    if (nearest === undefined) return { ...flip, to: null, picks: null, size: null };
    const size = nearest.change / Math.max(from || 0, this.#worthOfOne(input.unit));
    return { ...flip, to: valueOf(nearest.step), picks: this.#pickOf(run(nearest.step)) ?? -1, size };
  }

  #run(candidate: number, input: InputName, value: number): ProfileRecord | undefined {
    const changed = withInput(this.#decision, candidate, input, value, this.#prefillCost);
    return scheduleAgain(this.#decision, this.#policy, changed).profiles[this.#profile];
  }

  #pickOf(record: ProfileRecord | undefined): number | undefined {
    return record?.name === this.#recorded.name ? record.picker.picked[0] : undefined;
  }

  /** About what one more request like this one adds to a number in this unit. */
  #worthOfOne(unit: InputUnit): number {
    const { promptTokens, inputs: recorded } = this.#decision;
    if (unit === 'tokens') return Math.max(1, promptTokens);
    if (unit === 'seconds') return Math.max(0.001, ...recorded.prefillSeconds.filter((each) => !Number.isNaN(each)));
    return unit === 'milliseconds' ? 1000 : 1;
  }
}

function reacts(before: ProfileRecord, after: ProfileRecord | undefined): boolean {
  const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
    a.length === b.length && Array.prototype.every.call(a, (each, i) => Object.is(each, b[i]));
  return after === undefined || !same(before.scored, after.scored) || !same(before.totals, after.totals);
}

/**
 * The first whole number past `start` towards `end` for which `holds`: doubling steps, then bisection. `start` itself
 * is taken not to hold. Where it holds here and there, the first that the doubling steps come upon.
 */
function firstStep(start: number, end: number, holds: (step: number) => boolean): number | null {
  const direction = Math.sign(end - start);
  let before = start;
  for (let stride = 1; before !== end; stride *= 2) {
    let at = direction > 0 ? Math.min(end, start + stride) : Math.max(end, start - stride);
    if (holds(at)) {
      while (Math.abs(at - before) > 1) {
        const middle = Math.trunc((at + before) / 2);
        if (holds(middle)) at = middle;
        else before = middle;
      }
      return at;
    }
    before = at;
  }
  return null;
}

import type { Counterfactual, Flip } from '../scheduler/counterfactual.ts';
import type { Decision } from '../scheduler/decision.ts';

/** What would have changed a decision, as `?flips=1` adds it to the Decision's JSON. Unknown numbers are null. */
export interface FlipsJson {
  /** Why it is not known; null when it is. */
  unknown: string | null;
  profiles: { profile: string; picked: string; runnerUp: string | null; flips: FlipJson[] }[];
}

export interface FlipJson {
  endpoint: string;
  input: Flip['input'];
  unit: Flip['unit'];
  from: number | null;
  /** The nearest value found at which the pick is another, all else equal; null when none is. */
  to: number | null;
  /** What is picked then; null when nothing is, or without `to`. */
  picks: string | null;
  /** The change relative to `from`, or to what one request like this brings where that is more. */
  size: number | null;
}

export function flipsJson({ candidates }: Decision, { unknown, profiles }: Counterfactual): FlipsJson {
  const nameOf = (candidate: number): string => candidates[candidate]!.endpoint;
  return {
    unknown,
    profiles: profiles.map(({ profile, picked, runnerUp, flips }) => ({
      profile,
      picked: nameOf(picked),
      runnerUp: runnerUp === null ? null : nameOf(runnerUp),
      flips: flips.map(({ candidate, input, unit, from, to, picks, size }) => ({
        endpoint: nameOf(candidate),
        input,
        unit,
        from: Number.isNaN(from) ? null : from,
        to,
        picks: picks === null || picks < 0 ? null : nameOf(picks),
        size,
      })),
    })),
  };
}

import type { Counterfactual } from '../scheduler/counterfactual.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { FlipsJson } from './decision-schema.ts';

/** What would have changed a decision, as `?flips=1` adds it to the Decision's JSON. Unknown numbers are null. */
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

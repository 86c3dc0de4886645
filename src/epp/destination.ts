import type { Decision } from '../scheduler/decision.ts';

/**
 * The addresses a request may go to, best first: the one picked, then `fallbacks` other candidates in the order of their
 * scores, separated by commas, as the endpoint-picker protocol has it. `isAlike` says of an endpoint by its name whether
 * the request can go there just as it is (its headers may ask for a data-parallel rank).
 */
export function destinationOf(
  decision: Decision,
  pickedAddress: string,
  fallbacks: number,
  isAlike: (endpoint: string) => boolean,
): string {
  const profile = decision.profiles[decision.primaryProfile];
  if (profile === undefined) return pickedAddress;
  const { scored, totals, scorers } = profile;
  const sign = scorers[0]?.unit === 'seconds' ? 1 : -1;
  const named = [pickedAddress];
  // As many rounds as there are fallbacks, and those are few.
  const taken = new Set<number>();
  while (named.length <= fallbacks) {
    let best = -1;
    for (let i = 0; i < scored.length; i++) {
      if (taken.has(i) || (best >= 0 && sign * totals[i]! >= sign * totals[best]!)) continue;
      const { address, endpoint } = decision.candidates[scored[i]!]!;
      if (address !== pickedAddress && isAlike(endpoint)) best = i;
    }
    if (best < 0) break;
    taken.add(best);
    named.push(decision.candidates[scored[best]!]!.address);
  }
  return named.join(',');
}

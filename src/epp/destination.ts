import type { Decision } from '../scheduler/decision.ts';

/**
 * The addresses a request may go to, best first: the one picked, then `fallbacks` other candidates in the order of their
 * scores, separated by commas, as the endpoint-picker protocol has it.
 */
export function destinationOf(decision: Decision, pickedAddress: string, fallbacks: number): string {
  const profile = decision.profiles[decision.primaryProfile];
  if (profile === undefined) return pickedAddress;
  const { scored, totals, scorers } = profile;
  const sign = scorers[0]?.unit === 'seconds' ? 1 : -1;
  const others = Array.from(scored, (candidate, index) => ({ candidate, cost: sign * totals[index]! }))
    .filter(({ candidate }) => decision.candidates[candidate]!.address !== pickedAddress)
    .sort((a, b) => a.cost - b.cost)
    .slice(0, fallbacks)
    .map(({ candidate }) => decision.candidates[candidate]!.address);
  return [pickedAddress, ...others].join(',');
}

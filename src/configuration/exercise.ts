import { newStates, type Policy } from '../scheduler/policy.ts';
import { schedule } from '../scheduler/schedule.ts';
import { madeUpFleet, requestOf, viewOf } from './test-kit.ts';

/** Lets a policy decide on made-up fleets, so that plugins which throw show it before there is traffic. */
export function exercise(policy: Policy, fleets = 100): void {
  const states = newStates(policy);
  for (let seed = 1; seed <= fleets; seed++) schedule(policy, states, requestOf(), viewOf(madeUpFleet(seed)), seed);
}

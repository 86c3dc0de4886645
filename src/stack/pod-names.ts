import { SignalboxError } from '../base/errors.ts';
import { didYouMean } from '../base/suggest.ts';
import { parseLabelSelector } from './label-selector.ts';
import type { PodState, StackState } from './state.ts';

/** `pod/NAME` and `NAME` mean the same. */
export function bareName(name: string): string {
  return name.replace(/^pods?\//, '');
}

/** The pods that a command line names or selects; all when it does neither. Throws `usage` for an unknown name. */
export function selectPods(state: StackState, name: string | undefined, selector: string | undefined): PodState[] {
  if (name !== undefined) return [podNamed(state, bareName(name))];
  const matches = parseLabelSelector(selector ?? '');
  return state.pods.filter(({ labels }) => matches(labels));
}

function podNamed({ pods, namespace }: StackState, name: string): PodState {
  const pod = pods.find((candidate) => candidate.name === name);
  if (pod !== undefined) return pod;
  const guess = didYouMean(
    name,
    pods.map((candidate) => candidate.name),
  );
  throw new SignalboxError('environment', `there is no pod ${name} in namespace ${namespace}${guess}`);
}

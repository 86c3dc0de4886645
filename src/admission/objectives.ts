import type { Objective } from '../scheduler/flow-rule.ts';
import type { Caller, SchedulingRequest } from '../scheduler/request.ts';

/**
 * Who asks: by the objective that the request names, else by one for its model, with the targets that it brings itself.
 * A name that is not configured gives nothing. Null where nothing is said of the request.
 */
export function callerOf({ wish, model }: SchedulingRequest, objectives: readonly Objective[]): Caller | null {
  const named = wish?.objective ?? null;
  const asked = objectives.find(({ name }) => name === named);
  const objective = asked ?? objectives.find(({ models }) => models.includes(model));
  if (wish === undefined && objective === undefined) return null;
  return {
    priority: asked?.priority ?? wish?.priority ?? objective?.priority ?? 0,
    fairnessId: wish?.fairnessId ?? 'default-flow',
    ttftTargetSeconds: wish?.ttftTargetSeconds ?? objective?.ttftTargetSeconds ?? null,
    tpotTargetSeconds: wish?.tpotTargetSeconds ?? objective?.tpotTargetSeconds ?? null,
  };
}

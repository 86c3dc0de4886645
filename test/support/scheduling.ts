import type { Decision } from '../../src/scheduler/decision.ts';
import { type Policy, newStates } from '../../src/scheduler/policy.ts';
import { recordDecision } from '../../src/scheduler/record.ts';
import { anyCaller, type SchedulingRequest } from '../../src/scheduler/request.ts';
import { schedule } from '../../src/scheduler/schedule.ts';
import type { FleetView } from '../../src/scheduler/view.ts';

export { requestOf, viewOf, type Row } from '../../src/configuration/test-kit.ts';

export function decide(policy: Policy, request: SchedulingRequest, view: FleetView, seed: number): Decision {
  return recordDecision(policy, request, view, schedule(policy, newStates(policy), request, view, seed), {
    id: `decision-${seed}`,
    epochMs: Date.UTC(2025, 4, 16, 18, 0, 0),
    seed,
    queuedSeconds: 0,
    caller: anyCaller,
    ahead: null,
    rejection: null,
    leftOut: [],
    schedulerSeconds: 0.0001,
    prefixBlocks: null,
    predicted: { ttftSeconds: NaN, e2eSeconds: NaN },
  });
}

export function pickedName(decision: Decision): string | null {
  return decision.candidates[decision.picked]?.endpoint ?? null;
}

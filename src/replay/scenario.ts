import { SignalboxError } from '../base/errors.ts';
import type { HardwareProfile } from '../engine/model/profiles.ts';
import type { JournalPart } from '../traffic/trace/decisions.ts';
import type { Trace } from '../traffic/trace/trace.ts';
import type { FleetEvent } from './fleet-events.ts';
import type { Knowledge } from './informed-fleet.ts';
import { namedPolicy } from './policies.ts';
import { drawingOf, resultOf } from './result.ts';
import type { Drawing, PolicyResult, Slo } from './result.ts';
import { runPolicy } from './run.ts';
import { workloadOf } from './workload.ts';

/** Everything but the policy: the same for all that are compared. Plain data, so that it can go to another process. */
export interface Scenario {
  /** A shipped trace's name or a file. */
  readonly trace: string;
  /** Which of a journal's Decisions; null for all, and for other traces. */
  readonly part: JournalPart | null;
  /** One per endpoint. */
  readonly profiles: readonly HardwareProfile[];
  /** One per endpoint, as `llm-d.ai/role` has them; null for none. */
  readonly roles: readonly (string | null)[];
  readonly events: readonly FleetEvent[];
  readonly rate: number;
  readonly seed: number;
  readonly sessions: number | null;
  readonly maxTurns: number;
  readonly maxPromptTokens: number;
  readonly thinkTimeCapMs: number;
  readonly sessionGapMs: number;
  readonly stalenessMs: number;
  /** Other than `router`, it is what no router can know: for measuring what that is worth. */
  readonly knowledge: Knowledge;
  readonly streaming: boolean;
  readonly slo: Slo;
}

export interface ScenarioResult {
  readonly result: PolicyResult;
  readonly drawing: Drawing;
}

/** Runs one policy (a preset's name or a file) through the scenario. The same arguments give the same result. */
export function runScenario(
  scenario: Scenario,
  trace: Trace,
  policy: string,
  onProgress?: (share: number) => void,
): ScenarioResult {
  const workload = workloadOf(trace, scenario);
  if (workload.requestCount === 0) {
    throw new SignalboxError('config_invalid', `${trace.name}: nothing in it is left to replay within these limits.`);
  }
  const outcome = runPolicy({
    ...scenario,
    workload,
    blockTokens: trace.blockTokens,
    policy: namedPolicy(policy).policy,
    onProgress: (done) => onProgress?.(done / workload.requestCount),
  });
  const endpointCount = scenario.profiles.length;
  const name = { policy, default: namedPolicy(policy).isDefault };
  return {
    result: resultOf(name, endpointCount, scenario.slo, outcome),
    drawing: drawingOf(endpointCount, outcome),
  };
}

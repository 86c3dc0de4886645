import type { Trace } from '../traffic/trace/trace.ts';
import { breakingLoad } from './breaking-load.ts';
import type { BreakingLoad } from './breaking-load.ts';
import { runScenario } from './scenario.ts';
import type { Scenario, ScenarioResult } from './scenario.ts';

/** What a process can be asked to do. Plain data. */
export type Job =
  | { readonly kind: 'run'; readonly scenario: Scenario; readonly policy: string }
  /** Finds the rate above which fewer than `share` of all requests are in time. */
  | { readonly kind: 'breaking-load'; readonly scenario: Scenario; readonly policy: string; readonly share: number };

export type JobResult =
  | ({ readonly kind: 'run' } & ScenarioResult)
  | { readonly kind: 'breaking-load'; readonly breaking: BreakingLoad | null };

export function runJob(job: Job, trace: Trace, onProgress: (share: number) => void): JobResult {
  const { scenario, policy } = job;
  if (job.kind === 'run') return { kind: 'run', ...runScenario(scenario, trace, policy, onProgress) };
  const inSloAt = (rate: number): number => runScenario({ ...scenario, rate }, trace, policy).result.inSlo;
  return { kind: 'breaking-load', breaking: breakingLoad(inSloAt, job.share, scenario.rate) };
}

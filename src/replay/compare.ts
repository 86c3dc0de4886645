import type { BreakingLoad } from './breaking-load.ts';
import type { Job } from './jobs.ts';
import { runJobs } from './pool.ts';
import type { Scenario, ScenarioResult } from './scenario.ts';

interface CompareOptions {
  readonly scenario: Scenario;
  readonly policies: readonly string[];
  /** Rates to run at beside the scenario's own. */
  readonly rates: readonly number[];
  /** Also find, for each policy, the rate above which fewer than this share of all requests are in time. */
  readonly breakingShare: number | null;
  readonly processes: number;
  readonly onProgress?: (share: number) => void;
}

/** Several policies on the same traffic, in the order asked for. */
export interface Comparison {
  readonly scenario: Scenario;
  readonly runs: readonly ScenarioResult[];
  /** By rate, ascending, the scenario's own among them; empty when no other was asked for. */
  readonly sweep: readonly { readonly rate: number; readonly runs: readonly ScenarioResult[] }[];
  readonly breaking: readonly { readonly policy: string; readonly load: BreakingLoad | null }[] | null;
}

export async function compare(options: CompareOptions): Promise<Comparison> {
  const { scenario, policies, breakingShare } = options;
  const otherRates = [...new Set(options.rates)].filter((rate) => rate !== scenario.rate);
  const allRates = [scenario.rate, ...otherRates];
  const jobs: Job[] = allRates.flatMap((rate) =>
    policies.map((policy): Job => ({ kind: 'run', scenario: { ...scenario, rate }, policy })),
  );
  if (breakingShare !== null) {
    jobs.push(...policies.map((policy): Job => ({ kind: 'breaking-load', scenario, policy, share: breakingShare })));
  }
  const results = await runJobs(jobs, options.processes, options);
  const runs = results.filter((result) => result.kind === 'run');
  const found = results.filter((result) => result.kind === 'breaking-load');
  const byRate = allRates.map((rate, at) => ({
    rate,
    runs: runs.slice(at * policies.length, (at + 1) * policies.length),
  }));
  return {
    scenario,
    runs: byRate[0]!.runs,
    sweep: otherRates.length === 0 ? [] : byRate.sort((left, right) => left.rate - right.rate),
    breaking:
      breakingShare === null ? null : policies.map((policy, at) => ({ policy, load: found[at]?.breaking ?? null })),
  };
}

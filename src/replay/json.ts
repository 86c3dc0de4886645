import type { Comparison } from './compare.ts';

/** What `replay --json` prints. Seconds and shares of one; null is "not measured". */
export function comparisonJson({ scenario, runs, sweep, breaking }: Comparison): object {
  return {
    trace: scenario.trace,
    endpoints: scenario.profiles.length,
    profile: [...new Set(scenario.profiles.map(({ name }) => name))].join(','),
    rate: scenario.rate,
    seed: scenario.seed,
    slo: scenario.slo,
    results: runs.map(({ result }) => result),
    ...(sweep.length > 0 && {
      sweep: sweep.map(({ rate, runs: atRate }) => ({ rate, results: atRate.map(({ result }) => result) })),
    }),
    ...(breaking !== null && {
      breakingLoad: breaking.map(({ policy, load }) => ({ policy, rate: load?.rate ?? null })),
    }),
  };
}

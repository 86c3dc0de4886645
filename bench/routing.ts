/**
 * `npm run bench:routing`: every preset on the scenarios of `routing-scenarios.ts`, three seeds each, written as tables
 * to bench/routing.md. `-- --full` takes six seeds and looks for the load at which the best presets break.
 * What has been run with the same sources is kept in bench/results/ and not run again, so a broken-off run goes on.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/lib/source-files.ts';
import type { Job, JobResult } from '../src/replay/jobs.ts';
import { runJobs } from '../src/replay/pool.ts';
import { progressBar } from '../src/replay/progress.ts';
import { presetNames } from '../src/scheduler/presets.ts';
import { geometricMeans, page } from './routing-page.ts';
import type { Measured } from './routing-page.ts';
import { ResultStore } from './routing-results.ts';
import { scenarios } from './routing-scenarios.ts';

const isFull = process.argv.includes('--full');
const seeds = isFull ? [1, 2, 3, 4, 5, 6] : [1, 2, 3];
const breakingPresets = 6;
const breakingShare = 0.9;
const startedMs = performance.now();
const store = new ResultStore(join(root, 'bench/results/routing.jsonl'));

const measured: Measured[] = [];
for (const scenario of scenarios) {
  const policies = scenario.policies ?? presetNames;
  const jobs = policies.flatMap((policy) =>
    seeds.map((seed): Job => ({ kind: 'run', scenario: { ...scenario.scenario, seed }, policy })),
  );
  const results = await run(scenario.title, jobs);
  policies.forEach((policy, at) => {
    const runs = results.slice(at * seeds.length, (at + 1) * seeds.length);
    measured.push({ scenario, policy, runs: runs.flatMap((run) => (run.kind === 'run' ? [run.result] : [])) });
  });
}

const breaking: { scenario: string; policy: string; rates: number[] }[] = [];
if (isFull) {
  const best = [...geometricMeans(measured)].slice(0, breakingPresets).map(({ policy }) => policy);
  for (const { title, scenario } of scenarios.filter(({ findBreaking }) => findBreaking)) {
    const policies = [...new Set([...best, 'round-robin'])];
    const jobs = policies.flatMap((policy) =>
      seeds
        .slice(0, 3)
        .map((seed): Job => ({ kind: 'breaking-load', scenario: { ...scenario, seed }, policy, share: breakingShare })),
    );
    const results = await run(`${title}, where it breaks`, jobs);
    policies.forEach((policy, at) => {
      const found = results.slice(at * 3, at * 3 + 3);
      const rates = found.flatMap((each) => (each.kind === 'breaking-load' ? [each.breaking?.rate ?? 0] : []));
      breaking.push({ scenario: title, policy, rates });
    });
  }
}

const machine = `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.version}`;
const text = page({ measured, breaking, seeds, machine, minutes: (performance.now() - startedMs) / 60_000 });
writeFileSync(join(root, 'bench/routing.md'), text);

/** Runs what is not in the store yet. */
async function run(title: string, jobs: readonly Job[]): Promise<JobResult[]> {
  const missing = jobs.filter((job) => store.get(job) === undefined);
  const progress = progressBar(process.stderr, title);
  await runJobs(missing, availableParallelism(), {
    onProgress: (share) => progress.show(share),
    onResult: (job, result) => store.put(job, result),
  });
  progress.end();
  return jobs.map((job) => store.get(job)!);
}

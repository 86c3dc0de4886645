/**
 * `npm run bench:routing`: every preset on the scenarios of `routing-scenarios.ts`, three seeds each, written as tables
 * to bench/routing.md. `-- --full` takes six seeds, and three instead of one for the loads at which the best presets break.
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
import { runScenario } from '../src/replay/scenario.ts';
import { readTrace } from '../src/traffic/trace/read.ts';
import { ours } from './routing-figures.ts';
import { geometricMeans, page } from './routing-page.ts';
import type { Breaking, Measured, Twin } from './routing-page.ts';
import { ResultStore } from './routing-results.ts';
import { scenarios } from './routing-scenarios.ts';
import type { BenchScenario } from './routing-scenarios.ts';

const isFull = process.argv.includes('--full');
const seeds = isFull ? [1, 2, 3, 4, 5, 6] : [1, 2, 3];
const breakingSeeds = isFull ? [1, 2, 3] : [1];
const breakingPresets = 6;
const breakingShare = 0.9;
const store = new ResultStore(join(root, 'bench/results/routing.jsonl'));

const measured: Measured[] = [];
for (const scenario of scenarios) {
  const policies = scenario.policies ?? presetNames;
  const jobs = policies.flatMap((policy) => runsOf(scenario, policy));
  const results = await run(scenario.title, jobs);
  policies.forEach((policy, at) => {
    measured.push({ scenario, policy, ...columns(results.slice(at * seeds.length, (at + 1) * seeds.length)) });
  });
}

const twins: Twin[] = [];
for (const scenario of scenarios.filter(({ counts }) => counts)) {
  const changesSpeed = scenario.scenario.events.length > 0;
  for (const knowledge of changesSpeed ? (['true-speeds', 'perfect'] as const) : (['perfect'] as const)) {
    const informed = { ...scenario, scenario: { ...scenario.scenario, knowledge } };
    const results = await run(`${scenario.title}, ${knowledge}`, runsOf(informed, ours));
    twins.push({ scenario, knowledge, ...columns(results) });
  }
}

const means = geometricMeans(measured);
const best = means.slice(0, breakingPresets).map(({ policy }) => policy);
const breaking: Breaking[] = [];
for (const { title, flags, scenario } of scenarios.filter(({ findBreaking }) => findBreaking)) {
  const policies = [...new Set([...best, ours, 'round-robin'])];
  const jobs = policies.flatMap((policy) =>
    breakingSeeds.map((seed): Job => ({
      kind: 'breaking-load',
      scenario: { ...scenario, seed },
      policy,
      share: breakingShare,
    })),
  );
  const results = await run(`${title}, where it breaks`, jobs);
  policies.forEach((policy, at) => {
    const found = results.slice(at * breakingSeeds.length, (at + 1) * breakingSeeds.length);
    const rates = found.flatMap((each) => (each.kind === 'breaking-load' ? [each.breaking?.rate ?? 0] : []));
    breaking.push({ title, trace: scenario.trace, flags, policy, rates });
  });
}

const machine = `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.version}`;
const speed = await replaySpeed(scenarios[0]!);
const text = page({ measured, twins, breaking, means, speed, seeds, machine });
writeFileSync(join(root, 'bench/routing.md'), text);

function runsOf({ scenario }: BenchScenario, policy: string): Job[] {
  return seeds.map((seed) => ({ kind: 'run', scenario: { ...scenario, seed }, policy }));
}

function columns(results: readonly JobResult[]): Pick<Measured, 'runs' | 'drawings'> {
  const runs = results.filter((each) => each.kind === 'run');
  return { runs: runs.map(({ result }) => result), drawings: runs.map(({ drawing }) => drawing) };
}

/** One replay in this process, which has nothing else to do then. */
async function replaySpeed({ scenario }: BenchScenario): Promise<{ seconds: number; peakMegabytes: number }> {
  const trace = await readTrace(scenario.trace);
  const beginMs = performance.now();
  runScenario(scenario, trace, ours);
  const seconds = (performance.now() - beginMs) / 1000;
  return { seconds, peakMegabytes: process.resourceUsage().maxRSS / 1024 };
}

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

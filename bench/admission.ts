/**
 * `npm run bench:admission`: what priorities, fairness and targets are worth when there is more to do than the fleet
 * can do, on the virtual clock. Writes `bench/admission.md`. A policy without flow control is run beside ours.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hardwareProfiles } from '../src/engine/model/profiles.ts';
import { namedPolicy } from '../src/replay/policies.ts';
import { runPolicy } from '../src/replay/run.ts';
import type { Samples } from '../src/replay/samples.ts';
import { workloadOf } from '../src/replay/workload.ts';
import type { Policy } from '../src/scheduler/policy.ts';
import { anyCaller, type Caller } from '../src/scheduler/request.ts';
import { defaultHoldRule } from '../src/scheduler/flow-control.ts';
import { readTrace } from '../src/traffic/trace/read.ts';
import { costs } from './admission-costs.ts';
import { root } from '../scripts/lib/source-files.ts';

const endpoints = 8;
const slo = { ttftSeconds: 5, tpotSeconds: 0.06 };
/** Where 90 % are still in time on this fleet (`bench/routing.md`, the load at which each policy breaks). */
const capacityRate = 1.22;
const outputWeight = 2;
const trace = await readTrace('mooncake-conversation');
const profile = hardwareProfiles['qwen3-32b-2xh100']!;

interface Run {
  readonly samples: Samples;
  readonly failures: ReadonlyMap<string, number>;
}

function run(policy: Policy, rate: number, callerOf: (row: number) => Caller, seed = 1): Run {
  const workload = workloadOf(trace, {
    rate,
    sessions: null,
    maxTurns: Infinity,
    maxPromptTokens: Infinity,
    thinkTimeCapMs: Infinity,
    sessionGapMs: 1000,
    seed,
  });
  return runPolicy({
    workload,
    blockTokens: trace.blockTokens,
    policy,
    profiles: Array.from({ length: endpoints }, () => profile),
    events: [],
    roles: [],
    stalenessMs: 50,
    knowledge: 'router',
    streaming: true,
    seed,
    callerOf,
  });
}

const ours = namedPolicy('least-added-wait').policy;
const withoutFlow = (name: string): Policy => ({ ...namedPolicy(name).policy, hold: null });
const withFlow = (name: string): Policy => ({ ...namedPolicy(name).policy, hold: defaultHoldRule });

function p99(samples: Samples, isIn: (row: number) => boolean): number {
  const ttft = [];
  for (let row = 0; row < samples.count; row++) {
    if (isIn(row) && !Number.isNaN(samples.ttftSeconds[row]!)) ttft.push(samples.ttftSeconds[row]!);
  }
  ttft.sort((a, b) => a - b);
  return ttft[Math.floor(ttft.length * 0.99)] ?? NaN;
}

function inTime(samples: Samples): number {
  let count = 0;
  for (let row = 0; row < samples.count; row++) if (isInTime(samples, row)) count += 1;
  return count;
}

function isInTime(samples: Samples, row: number): boolean {
  const isSlow = samples.tpotSeconds[row]! > slo.tpotSeconds;
  return samples.endpoint[row]! >= 0 && samples.ttftSeconds[row]! <= slo.ttftSeconds && !isSlow;
}

/** Service that each of two tenants got from then on to the last arrival, in millions of tokens. */
function servedSince(fromSeconds: number, samples: Samples): { readonly small: number; readonly large: number } {
  const until = lastArrivalSeconds(samples);
  const served = { small: 0, large: 0 };
  for (let row = 0; row < samples.count; row++) {
    if (samples.endpoint[row]! < 0) continue;
    const tenant = isSmall(row) ? 'small' : 'large';
    const isWithin = (seconds: number): boolean => {
      const at = samples.arrivalMs[row]! / 1000 + seconds;
      return at >= fromSeconds && at <= until;
    };
    const input = samples.promptTokens[row]! - samples.cachedTokens[row]!;
    if (isWithin(samples.ttftSeconds[row]!)) served[tenant] += input / 1e6;
    if (isWithin(samples.e2eSeconds[row]!)) served[tenant] += (outputWeight * samples.outputTokens[row]!) / 1e6;
  }
  return served;
}

function isSmall(row: number): boolean {
  return row % 11 === 0;
}

function lastArrivalSeconds(samples: Samples): number {
  return samples.arrivalMs[samples.count - 1]! / 1000;
}

const lines: string[] = [];
const say = (line = ''): void => {
  lines.push(line);
  console.log(line);
};

say('# Who goes first, measured');
say();
say(
  'Written by `npm run bench:admission`; do not edit. Conversation trace, 8 simulated endpoints, virtual time: the numbers',
);
say(
  'do not depend on the machine. Capacity is the load at which 90 % of the answers are still in time (TTFT ≤ 5 s, TPOT ≤ 60 ms).',
);

say();
say('## One request in ten has priority');
say();
say('| load | policy | p99 TTFT with priority, s | others, s |');
say('|---|---|---:|---:|');
const isHigh = (row: number): boolean => row % 10 === 0;
const byPriority = (row: number): Caller => ({ ...anyCaller, priority: isHigh(row) ? 10 : 0 });
const alike = (): Caller => anyCaller;
for (const [load, rate] of [
  ['unsaturated (0.8 × capacity)', 0.8 * capacityRate],
  ['1.5 × capacity', 1.5 * capacityRate],
] as const) {
  for (const [name, policy, callerOf] of [
    ['ours', ours, byPriority],
    ['ours, nobody has priority', ours, alike],
    ['ours without flow control', withoutFlow('least-added-wait'), byPriority],
    ['llm-d-flow-control', namedPolicy('llm-d-flow-control').policy, byPriority],
  ] as const) {
    const { samples } = run(policy, rate, callerOf);
    const [high, others] = [p99(samples, isHigh), p99(samples, (row) => !isHigh(row))];
    say(`| ${load} | ${name} | ${high.toFixed(1)} | ${others.toFixed(1)} |`);
  }
}

say();
say('## Two tenants, one with ten times the demand of the other');
say();
say(
  'Service (uncached input tokens at the first token, 2 × output tokens at the end) while both have requests waiting, to the',
);
say(
  'last arrival. The load is such that the smaller wants more than half. While its requests wait for an endpoint that suits',
);
say(
  'them the larger takes what stands free, as at the start, and gives it back afterwards: from 4 s on both wait, by 60 s they',
);
say('are even.');
say();
say('| policy | from | the larger, Mtokens | the smaller, Mtokens | smaller / larger |');
say('|---|---:|---:|---:|---:|');
const byTenant = (row: number): Caller => ({ ...anyCaller, fairnessId: isSmall(row) ? 'small' : 'large' });
for (const [name, policy] of [
  ['ours', ours],
  ['ours without flow control', withoutFlow('least-added-wait')],
] as const) {
  const { samples } = run(policy, 16 * capacityRate, byTenant);
  for (const fromSeconds of [4, 60]) {
    const { small, large } = servedSince(fromSeconds, samples);
    say(`| ${name} | ${fromSeconds} s | ${large.toFixed(2)} | ${small.toFixed(2)} | ${(small / large).toFixed(3)} |`);
  }
}

say();
say('## Answers in time at 1.5 × capacity, with the targets said');
say();
say('| policy | in time per s | of all | turned away |');
say('|---|---:|---:|---:|');
const targets = (policy: Policy) => (): Caller => {
  // llm-d's flow control goes by no targets: with ours it would turn away what cannot be in time.
  return policy.name === 'llm-d-flow-control' ? anyCaller : withTargets;
};
const withTargets: Caller = {
  ...anyCaller,
  ttftTargetSeconds: slo.ttftSeconds,
  tpotTargetSeconds: slo.tpotSeconds,
};
for (const [name, policy] of [
  ['ours', ours],
  ['ours without flow control', withoutFlow('least-added-wait')],
  ['llm-d-token-aware, no flow control', withoutFlow('llm-d-token-aware')],
  ['llm-d-token-aware with our flow control', withFlow('llm-d-token-aware')],
  ['llm-d-legacy, no flow control', withoutFlow('llm-d-legacy')],
  ["llm-d-flow-control (llm-d's flow control with its defaults)", namedPolicy('llm-d-flow-control').policy],
] as const) {
  const { samples, failures } = run(policy, 1.5 * capacityRate, targets(policy));
  const good = inTime(samples);
  const turnedAway = [...failures.values()].reduce((sum, count) => sum + count, 0);
  const share = (count: number): string => `${((100 * count) / samples.count).toFixed(1)} %`;
  say(`| ${name} | ${(good / lastArrivalSeconds(samples)).toFixed(2)} | ${share(good)} | ${share(turnedAway)} |`);
}

say();
say('## At 90 % of capacity');
say();
const { samples: told, failures: below } = run(ours, 0.9 * capacityRate, () => withTargets);
const { samples: untold, failures: belowUntold } = run(ours, 0.9 * capacityRate, alike);
/** The same row is the same request: none of them waits for another's answer. */
const rowsTold = Array.from({ length: told.count }, (_, row) => row);
const shedRows = rowsTold.filter((row) => told.endpoint[row]! < 0);
const wrongly = shedRows.filter((row) => isInTime(untold, row)).length;
const sum = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((all, count) => all + count, 0);
say(
  `Turned away: ${sum(belowUntold)} of ${told.count} where no target is said, ${sum(below)} where each says the targets above;`,
);
say(
  `${sum(below) - wrongly} of these were late where no target was said. In time are ${inTime(told)} with targets, ${inTime(untold)} without.`,
);
say();
say('## What it costs');
say();
say('CPU time of this process, which does depend on the machine and on what else it does.');
say();
for (const line of await costs()) say(line);

writeFileSync(join(root, 'bench/admission.md'), `${lines.join('\n')}\n`);

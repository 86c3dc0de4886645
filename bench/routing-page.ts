import type { Knowledge } from '../src/replay/informed-fleet.ts';
import type { Drawing, PolicyResult } from '../src/replay/result.ts';
import { figures, ours, recovery } from './routing-figures.ts';
import { slowed, titles } from './routing-scenarios.ts';
import type { BenchScenario } from './routing-scenarios.ts';
import { digits, e2eMean, inTime, markdownTable, mean, meanOf, spread, ttftP99 } from './routing-statistics.ts';
import type { Measure } from './routing-statistics.ts';

/** One policy in one scenario, a result for each seed. */
export interface Measured {
  readonly scenario: BenchScenario;
  readonly policy: string;
  readonly runs: readonly PolicyResult[];
  readonly drawings: readonly Drawing[];
}

/** Our policy in one scenario, knowing more than a router can. */
export interface Twin {
  readonly scenario: BenchScenario;
  readonly knowledge: Exclude<Knowledge, 'router'>;
  readonly runs: readonly PolicyResult[];
  readonly drawings: readonly Drawing[];
}

/** The load at which one policy breaks in one scenario. */
export interface Breaking {
  readonly title: string;
  readonly trace: string;
  readonly flags: string;
  readonly policy: string;
  /** By seed; 0 where not even the least load is served in time. */
  readonly rates: readonly number[];
}

export interface PageContent {
  readonly measured: readonly Measured[];
  readonly twins: readonly Twin[];
  readonly breaking: readonly Breaking[];
  /** From the best to the worst. */
  readonly means: readonly { readonly policy: string; readonly e2eSeconds: number }[];
  /** Of one replay of 12,031 requests over 8 endpoints. */
  readonly speed: { readonly seconds: number; readonly peakMegabytes: number };
  readonly seeds: readonly number[];
  readonly machine: string;
}

export function page(content: PageContent): string {
  const { measured, twins, breaking, means, seeds, machine } = content;
  const sections = [...new Set(measured.map(({ scenario }) => scenario.title))].map((title) =>
    section(measured.filter(({ scenario }) => scenario.title === title)),
  );
  return `# Routing, measured

Written by \`npm run bench:routing\`; do not edit. Seeds ${seeds.join(', ')}, the same for every policy. Means over the seeds;
± is half the distance between the best and the worst of them. In time: TTFT ≤ 5 s and TPOT ≤ 60 ms.
Endpoints are simulated (profile qwen3-32b-2xh100), gauges are looked at every 50 ms, requests take 10 ms to an engine and answers 5 ms
back, and no policy knows how long an answer will be.

Machine: ${machine}. All of it takes about ten minutes there.
But for the time that a replay takes, the numbers do not depend on the machine: time is virtual.

## What was asked, what was measured

${summary(content)}
## Over all

Geometric mean of the mean E2E over the scenarios that every preset ran, relative to ${ours}.

${overall(means)}
${sections.join('\n')}
${knowledgeSection(measured, twins)}
${recoverySection(measured, twins)}
${breakingSection(breaking)}`;
}

function summary(content: PageContent): string {
  const all = figures(content);
  const missed = all.filter(({ met, why }) => !met && why !== undefined);
  const rows = all.map(({ asked, measured, met }) => [asked, measured, met ? 'yes' : '**no**']);
  const reasons = [...new Set(missed.map(({ why }) => why))].map((why) => {
    const which = missed.filter((figure) => figure.why === why).map(({ asked }) => asked);
    return `* ${which.join('; ')}: ${why}\n`;
  });
  return `${markdownTable(['asked of ours', 'measured', 'met'], rows)}
${reasons.length === 0 ? '' : `Why not:\n\n${reasons.join('')}`}`;
}

/** Policies from the lowest geometric mean of mean E2E to the highest. */
export function geometricMeans(measured: readonly Measured[]): { policy: string; e2eSeconds: number }[] {
  const policies = [...new Set(measured.map(({ policy }) => policy))];
  const means = policies.map((policy) => {
    const cells = measured.filter((cell) => cell.policy === policy && cell.scenario.counts);
    const logs = cells.map(({ runs }) => Math.log(meanOf(runs, e2eMean)));
    return { policy, e2eSeconds: Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length) };
  });
  return means.sort((left, right) => left.e2eSeconds - right.e2eSeconds);
}

function overall(means: PageContent['means']): string {
  const own = means.find(({ policy }) => policy === ours)?.e2eSeconds ?? NaN;
  return markdownTable(
    ['policy', 'E2E s', 'relative'],
    means.map(({ policy, e2eSeconds }) => [policy, e2eSeconds.toFixed(2), (e2eSeconds / own).toFixed(3)]),
  );
}

function section(cells: readonly Measured[]): string {
  const { title, flags } = cells[0]!.scenario;
  const sorted = [...cells].sort((left, right) => meanOf(left.runs, e2eMean) - meanOf(right.runs, e2eMean));
  const rows = sorted.map(({ policy, runs }) => {
    return [
      policy === ours ? `**${policy}**` : policy,
      `${digits(meanOf(runs, e2eMean))} ± ${digits(spread(runs.map(e2eMean)))}`,
      digits(meanOf(runs, ({ ttftSeconds }) => ttftSeconds.mean ?? NaN)),
      digits(meanOf(runs, ({ ttftSeconds }) => ttftSeconds.p50 ?? NaN)),
      digits(meanOf(runs, ttftP99)),
      digits(meanOf(runs, ({ tpotSeconds }) => (tpotSeconds.p99 ?? NaN) * 1000)),
      meanOf(runs, inTime).toFixed(3),
      meanOf(runs, ({ cachedShare }) => cachedShare).toFixed(3),
    ];
  });
  const heads = ['policy', 'E2E s', 'TTFT s', 'TTFT p50', 'TTFT p99', 'TPOT p99 ms', 'in time', 'cached'];
  return `## ${title}

\`./signalbox replay ${flags} --policy all --seed 1\`

${markdownTable(heads, rows)}${aheadOfOurs(cells)}`;
}

/** Where another policy does better, said plainly. */
function aheadOfOurs(cells: readonly Measured[]): string {
  const own = cells.find(({ policy }) => policy === ours);
  if (own === undefined) return '';
  const measures: [string, Measure, 1 | -1, (value: number) => string][] = [
    ['mean E2E', e2eMean, 1, digits],
    ['in time', inTime, -1, (share) => share.toFixed(3)],
    ['p99 TTFT', ttftP99, 1, digits],
  ];
  const lines = measures.flatMap(([name, measure, sign, show]) => {
    const best = cells.reduce((leader, cell) =>
      sign * (meanOf(cell.runs, measure) - meanOf(leader.runs, measure)) < 0 ? cell : leader,
    );
    if (best === own) return [];
    return [`${name}: ${best.policy} ${show(meanOf(best.runs, measure))} to our ${show(meanOf(own.runs, measure))}`];
  });
  return lines.length === 0 ? '' : `\nAhead of ours here: ${lines.join('; ')}.\n`;
}

function knowledgeSection(measured: readonly Measured[], twins: readonly Twin[]): string {
  const rows = twins.map(({ scenario, knowledge, runs }) => {
    const own = measured.find((cell) => cell.scenario === scenario && cell.policy === ours)!;
    return [
      scenario.title,
      knowledge === 'perfect' ? 'everything' : 'true speeds',
      ...[e2eMean, ttftP99].flatMap((measure) => [digits(meanOf(own.runs, measure)), digits(meanOf(runs, measure))]),
      ...[own.runs, runs].map((of) => meanOf(of, inTime).toFixed(3)),
      ...[own.runs, runs].map((of) => meanOf(of, ({ cachedShare }) => cachedShare).toFixed(3)),
    ];
  });
  const heads = ['E2E s', 'twin', 'TTFT p99', 'twin', 'in time', 'twin', 'cached', 'twin'];
  return `## What it would be worth to know more

${ours} as it is, and a twin of it. One that knows everything reads the engines at the moment of the pick: what is cached, what
prefill is left and how fast they are, without delay. One that knows true speeds is told at once when an engine slows down or recovers.

${markdownTable(['scenario', 'the twin knows', ...heads], rows)}`;
}

function recoverySection(measured: readonly Measured[], twins: readonly Twin[]): string {
  const own = measured.find(({ scenario, policy }) => scenario.title === titles.slowed && policy === ours)!;
  const told = twins.filter(({ scenario }) => scenario.title === titles.slowed);
  const row = (name: string, drawings: readonly Drawing[]): string[] => {
    const { before, slow, after } = recovery(drawings);
    return [name, ...[before, slow, ...after].map(digits)];
  };
  const rows = [
    row('as it is', own.drawings),
    ...told.map(({ knowledge, drawings }) =>
      row(knowledge === 'perfect' ? 'knows everything' : 'knows true speeds', drawings),
    ),
  ];
  const heads = [ours, 'before', 'slow', ...[1, 2, 3, 4, 5].map((minute) => `minute ${minute} after`)];
  return `## A slow endpoint's share, and when it is back

Requests to endpoint ${slowed.endpoint} over the mean of the others', all seeds together. It runs at a third of its speed from second
${slowed.fromSeconds} to second ${slowed.toSeconds}; minutes are the first whole ones after that. Chance moves one minute by about a tenth.

${markdownTable(heads, rows)}`;
}

function breakingSection(breaking: readonly Breaking[]): string {
  const tables = [...new Set(breaking.map(({ title }) => title))].map((title) => {
    const cells = breaking.filter((cell) => cell.title === title);
    const rows = [...cells]
      .sort((left, right) => mean(right.rates) - mean(left.rates))
      .map(({ policy, rates }) => [
        policy === ours ? `**${policy}**` : policy,
        Math.max(...rates) === 0
          ? 'none'
          : rates.length === 1
            ? digits(mean(rates))
            : `${digits(mean(rates))} ± ${digits(spread(rates))}`,
      ]);
    const command = `./signalbox replay ${cells[0]!.flags} --breaking-load --policy ${cells.map(({ policy }) => policy).join(',')}`;
    return `### ${title}\n\n\`${command}\`\n\n${markdownTable(['policy', 'rate'], rows)}`;
  });
  return `## Where they break

The greatest rate, as a multiple of the trace's, with 90 % in time, found by bisection to within 1 % (none: not even 1/64 of the trace's); ${breaking[0]!.rates.length === 1 ? 'one seed' : `${breaking[0]!.rates.length} seeds`}. The best
presets over all, and round-robin.

${tables.join('\n')}`;
}

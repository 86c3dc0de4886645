import type { PolicyResult } from '../src/replay/result.ts';
import type { BenchScenario } from './routing-scenarios.ts';

/** One policy in one scenario, a result for each seed. */
export interface Measured {
  readonly scenario: BenchScenario;
  readonly policy: string;
  readonly runs: readonly PolicyResult[];
}

export interface PageContent {
  readonly measured: readonly Measured[];
  readonly breaking: readonly {
    readonly scenario: string;
    readonly policy: string;
    readonly rates: readonly number[];
  }[];
  readonly seeds: readonly number[];
  readonly machine: string;
  readonly minutes: number;
}

const ours = 'least-added-wait';

export function page({ measured, breaking, seeds, machine, minutes }: PageContent): string {
  const titles = [...new Set(measured.map(({ scenario }) => scenario.title))];
  const sections = titles.map((title) => section(measured.filter(({ scenario }) => scenario.title === title)));
  return `# Routing, measured

Written by \`npm run bench:routing\`; do not edit. Seeds ${seeds.join(', ')}, the same for every policy. Means over the seeds;
± is half the distance between the best and the worst of them. In time: TTFT ≤ 5 s and TPOT ≤ 60 ms.
Endpoints are simulated (profile qwen3-32b-2xh100), gauges are looked at every 50 ms, requests take 10 ms to an engine and answers 5 ms
back, and no policy knows how long an answer will be.

Machine: ${machine}. It took ${minutes.toFixed(0)} minutes, less what was kept from an earlier run with the same sources.
The numbers do not depend on the machine: time is virtual.

## Over all

Geometric mean of the mean E2E over the scenarios that every preset ran, relative to ${ours}.

${overall(measured)}
${sections.join('\n')}${breakingSection(breaking)}`;
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

function overall(measured: readonly Measured[]): string {
  const means = geometricMeans(measured);
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
    const noise = (Math.max(...runs.map(e2eMean)) - Math.min(...runs.map(e2eMean))) / 2;
    return [
      policy === ours ? `**${policy}**` : policy,
      `${digits(meanOf(runs, e2eMean))} ± ${digits(noise)}`,
      digits(meanOf(runs, ({ ttftSeconds }) => ttftSeconds.mean ?? NaN)),
      digits(meanOf(runs, ({ ttftSeconds }) => ttftSeconds.p50 ?? NaN)),
      digits(meanOf(runs, ({ ttftSeconds }) => ttftSeconds.p99 ?? NaN)),
      digits(meanOf(runs, ({ tpotSeconds }) => (tpotSeconds.p99 ?? NaN) * 1000)),
      meanOf(runs, ({ inSlo }) => inSlo).toFixed(3),
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
  const measures: [string, (result: PolicyResult) => number, 1 | -1, (value: number) => string][] = [
    ['mean E2E', e2eMean, 1, digits],
    ['in time', ({ inSlo }) => inSlo, -1, (share) => share.toFixed(3)],
    ['p99 TTFT', ({ ttftSeconds }) => ttftSeconds.p99 ?? NaN, 1, digits],
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

function breakingSection(breaking: PageContent['breaking']): string {
  if (breaking.length === 0) return '';
  const titles = [...new Set(breaking.map(({ scenario }) => scenario))];
  const tables = titles.map((title) => {
    const rows = breaking
      .filter(({ scenario }) => scenario === title)
      .map(({ policy, rates }) => ({ policy, mean: mean(rates), noise: (Math.max(...rates) - Math.min(...rates)) / 2 }))
      .sort((left, right) => right.mean - left.mean)
      .map(({ policy, mean: rate, noise }) => [policy, `${digits(rate)} ± ${digits(noise)}`]);
    return `### ${title}\n\n${markdownTable(['policy', 'rate'], rows)}`;
  });
  return `\n## Where they break\n\nThe greatest rate, as a multiple of the trace's, with 90 % in time.\n\n${tables.join('\n')}`;
}

function e2eMean({ e2eSeconds }: PolicyResult): number {
  return e2eSeconds.mean ?? NaN;
}

function meanOf(runs: readonly PolicyResult[], measure: (result: PolicyResult) => number): number {
  return mean(runs.map(measure));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(heads) + line(heads.map((_, at) => (at === 0 ? '---' : '---:'))) + rows.map(line).join('');
}

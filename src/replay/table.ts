import type { Comparison } from './compare.ts';
import type { PolicyResult } from './result.ts';
import type { Summary } from './statistics.ts';

const headings = [
  'policy',
  'E2E s',
  'p99',
  'TTFT s',
  'p50',
  'p99',
  'TPOT ms',
  'p99',
  'in SLO',
  'cached',
  'most',
  'failed',
];

/** The results as text for a terminal, the lowest mean E2E first. The default policy is marked `*`. */
export function resultTable(results: readonly PolicyResult[]): string {
  const rows = [...results].sort(byMeanE2e).map(rowOf);
  return alignedTable([headings, ...rows]);
}

/** Share in the SLO, a row for each policy and a column for each rate. */
export function sweepTable({ runs, sweep }: Comparison): string {
  const rows = runs.map(({ result }, at) => [
    result.policy,
    ...sweep.map(({ runs: atRate }) => percent(atRate[at]!.result.inSlo)),
  ]);
  return alignedTable([['policy', ...sweep.map(({ rate }) => `×${rate}`)], ...rows]);
}

export function breakingTable(breaking: NonNullable<Comparison['breaking']>): string {
  const rows = [...breaking].sort((left, right) => (right.load?.rate ?? 0) - (left.load?.rate ?? 0));
  return alignedTable([
    ['policy', 'rate'],
    ...rows.map(({ policy, load }) => [policy, load === null ? 'none' : `×${load.rate.toFixed(2)}`]),
  ]);
}

function byMeanE2e(left: PolicyResult, right: PolicyResult): number {
  return (left.e2eSeconds.mean ?? Infinity) - (right.e2eSeconds.mean ?? Infinity);
}

function rowOf(result: PolicyResult): string[] {
  const { ttftSeconds, tpotSeconds, e2eSeconds } = result;
  const counts = result.perEndpoint.map(({ requests }) => requests);
  return [
    `${result.policy}${result.default ? ' *' : ''}`,
    number(e2eSeconds.mean),
    number(e2eSeconds.p99),
    number(ttftSeconds.mean),
    number(ttftSeconds.p50),
    number(ttftSeconds.p99),
    number(scaled(tpotSeconds, 1000).mean),
    number(scaled(tpotSeconds, 1000).p99),
    percent(result.inSlo),
    percent(result.cachedShare),
    percent(result.completed === 0 ? 0 : Math.max(...counts) / result.completed),
    `${result.failed}`,
  ];
}

function scaled(summary: Summary, factor: number): { mean: number | null; p99: number | null } {
  const times = (value: number | null): number | null => (value === null ? null : value * factor);
  return { mean: times(summary.mean), p99: times(summary.p99) };
}

/** Three digits that matter. */
function number(value: number | null): string {
  if (value === null) return '–';
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Columns as wide as they need to be, the first to the left and the others to the right. */
function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return `${rows.map(line).join('\n')}\n`;
}

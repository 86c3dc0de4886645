import type { PolicyResult } from '../src/replay/result.ts';

export type Measure = (result: PolicyResult) => number;

export const e2eMean: Measure = ({ e2eSeconds }) => e2eSeconds.mean ?? NaN;
export const ttftP99: Measure = ({ ttftSeconds }) => ttftSeconds.p99 ?? NaN;
export const inTime: Measure = ({ inSlo }) => inSlo;

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function meanOf(runs: readonly PolicyResult[], measure: Measure): number {
  return mean(runs.map(measure));
}

/** Half the distance between the greatest and the least. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / 2;
}

/** Three digits that mean something. */
export function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(heads) + line(heads.map((_, at) => (at === 0 ? '---' : '---:'))) + rows.map(line).join('');
}

import { escapeHtml } from './escape.ts';

export interface Series {
  /** Its place among all policies: decides its colour. */
  readonly index: number;
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Distances on the x axis mean ratios. */
  readonly xIsLogarithmic: boolean;
  readonly xFormat: (value: number) => string;
  readonly yFormat: (value: number) => string;
  readonly series: readonly Series[];
}

const width = 640;
const height = 320;
const margin = { left: 52, right: 12, top: 12, bottom: 40 };

/** An SVG figure with y from 0 to 1. Every line carries `data-series`, by which the page's legend finds it. */
export function lineChart(chart: LineChart): string {
  const xs = chart.series.flatMap(({ points }) => points.map(([x]) => x)).filter((x) => !chart.xIsLogarithmic || x > 0);
  if (xs.length === 0) return '';
  const place = chart.xIsLogarithmic ? Math.log10 : (x: number): number => x;
  const low = place(Math.min(...xs));
  const span = place(Math.max(...xs)) - low || 1;
  const toX = (x: number): number =>
    margin.left + ((Math.max(low, place(x)) - low) / span) * (width - margin.left - margin.right);
  const toY = (y: number): number => height - margin.bottom - y * (height - margin.top - margin.bottom);

  const xTicks = (chart.xIsLogarithmic ? logarithmicTicks : linearTicks)(Math.min(...xs), Math.max(...xs));
  const grid = [
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (y) =>
        `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${toY(y)}" y2="${toY(y)}"/>` +
        `<text x="${margin.left - 6}" y="${toY(y) + 4}" text-anchor="end">${chart.yFormat(y)}</text>`,
    ),
    ...xTicks.map(
      (x) =>
        `<line class="grid" y1="${margin.top}" y2="${height - margin.bottom}" x1="${round(toX(x))}" x2="${round(toX(x))}"/>` +
        `<text x="${round(toX(x))}" y="${height - margin.bottom + 16}" text-anchor="middle">${chart.xFormat(x)}</text>`,
    ),
  ];
  const lines = chart.series.map(({ index, name, points }) => {
    const path = points.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${round(toX(x))} ${round(toY(y))}`).join('');
    return `<path class="line" data-series="${index}" d="${path}"><title>${escapeHtml(name)}</title></path>`;
  });
  return (
    `<figure><figcaption>${escapeHtml(chart.title)}</figcaption>` +
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(chart.title)}">${grid.join('')}${lines.join('')}` +
    `<text x="${(width + margin.left) / 2}" y="${height - 6}" text-anchor="middle">${escapeHtml(chart.xLabel)}</text>` +
    `<text x="12" y="${height / 2}" text-anchor="middle" transform="rotate(-90 12 ${height / 2})">${escapeHtml(chart.yLabel)}</text>` +
    `</svg></figure>`
  );
}

/** 1, 2 and 5 times the powers of ten; the powers alone where that would be too many. */
function logarithmicTicks(least: number, most: number): number[] {
  const steps = most / least > 1e3 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power++) {
    ticks.push(...steps.map((step) => step * 10 ** power));
  }
  return ticks.filter((tick) => tick >= least && tick <= most);
}

function linearTicks(least: number, most: number): number[] {
  return Array.from({ length: 6 }, (_, at) => least + ((most - least) * at) / 5);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

import { paletteSize } from './theme.ts';

/** Small drawing functions for charts in a report: they return SVG text. Colours are CSS variables of the page. */

const chartWidth = 400;
const chartHeight = 210;
const left = 46;
const right = 8;
const top = 10;
const bottom = 24;

/** A line or area of a chart; `colour` is an index into the page's palette. */
export interface Series {
  readonly name: string;
  readonly colour: number;
  /** One value a step; NaN leaves a gap. */
  readonly values: readonly number[];
}

export interface Axis {
  readonly max: number;
  /** Between two ticks. */
  readonly step: number;
  readonly format: (value: number) => string;
}

/** An axis from 0 that ends at a round number not below `max`, with about four ticks. */
export function roundAxis(max: number, format: (value: number) => string): Axis {
  const step = roundStep(max > 0 ? max / 4 : 0.25, decimalSteps);
  return { step, max: step * Math.max(1, Math.ceil(max / step - 1e-9)), format };
}

/** An axis of seconds that ends exactly at `max`. */
export function timeAxis(max: number): Axis {
  const step = max > 60 ? 60 * roundStep(max / 60 / 5, [1, 2, 5, 10]) : roundStep(max / 5, decimalSteps);
  return { max, step, format: max > 600 ? (at) => `${formatPlain(at / 60)} min` : (at) => `${formatPlain(at)} s` };
}

const decimalSteps = [1, 2, 2.5, 5, 10];

/** The least of `steps` times a power of ten that is not below `atLeast`. */
function roundStep(atLeast: number, steps: readonly number[]): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return (steps.find((step) => step * power >= atLeast * (1 - 1e-9)) ?? 10) * power;
}

function ticksOf({ max, step }: Axis): number[] {
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, index) => index * step);
}

export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** One line for each series over steps of equal width. `x.max` is where the last step ends. */
export function lineChart(series: readonly Series[], x: Axis, y: Axis): string {
  const lines = series.map(({ name, colour, values }) => {
    let path = '';
    let isDown = false;
    values.forEach((value, step) => {
      const at = `${place(stepMiddle(step, values.length))},${place(toY(value, y.max))}`;
      if (Number.isNaN(value)) isDown = false;
      else if (isDown) path += `L${at}`;
      else {
        // a point of its own would not show as a line
        path += `M${at}h0.01`;
        isDown = true;
      }
    });
    return `<path class="line ${colourClass(colour)}" d="${path}"><title>${escapeText(name)}</title></path>`;
  });
  return frame(x, y, lines.join(''));
}

/** The series on top of each other. */
export function stackedChart(series: readonly Series[], x: Axis, y: Axis): string {
  const steps = series[0]?.values.length ?? 0;
  const base = new Array<number>(steps).fill(0);
  const areas = series.map(({ name, colour, values }) => {
    const lower = outline(base, y.max);
    values.forEach((value, step) => (base[step] = base[step]! + value));
    const upper = outline(base, y.max);
    const path = `M${upper.join('L')}L${lower.reverse().join('L')}Z`;
    return `<path class="area ${colourClass(colour)}" d="${path}"><title>${escapeText(name)}</title></path>`;
  });
  return frame(x, y, areas.join(''));
}

/** Counts over ranges on a logarithmic axis, with vertical marks. */
export function histogramChart(
  bins: readonly { from: number; to: number; count: number }[],
  marks: readonly { name: string; at: number }[],
  format: (value: number) => string,
): string {
  const from = bins[0]?.from ?? 1;
  const to = bins.at(-1)?.to ?? 10;
  const y = roundAxis(Math.max(...bins.map(({ count }) => count)), formatPlain);
  const toX = (value: number): number => left + (Math.log(value / from) / Math.log(to / from)) * plotWidth;
  const bars = bins
    .filter(({ count }) => count > 0)
    .map((bin) => {
      const barTop = toY(bin.count, y.max);
      const width = Math.max(1, toX(bin.to) - toX(bin.from) - 0.6);
      const title = `${format(bin.from)} to ${format(bin.to)}: ${bin.count}`;
      return (
        `<rect class="bar" x="${place(toX(bin.from))}" y="${place(barTop)}" width="${place(width)}" ` +
        `height="${place(bottomY - barTop)}"><title>${title}</title></rect>`
      );
    });
  let lastX = -Infinity;
  let row = 0;
  const lines = marks.map(({ name, at }) => {
    const x = toX(Math.min(to, Math.max(from, at)));
    // Labels that would lie on each other go to lines of their own.
    row = x - lastX < 26 ? row + 1 : 0;
    lastX = x;
    return (
      `<line class="mark" x1="${place(x)}" x2="${place(x)}" y1="${top}" y2="${bottomY}"><title>${name}: ${format(at)}</title></line>` +
      `<text class="mark-name" x="${place(x - 3)}" y="${top + 8 + 11 * row}" text-anchor="end">${name}</text>`
    );
  });
  const ticks = logTicks(from, to).map((value) => tickX(toX(value), format(value)));
  return svg(`${gridY(y)}${ticks.join('')}${bars.join('')}${lines.join('')}`);
}

export function formatPlain(value: number): string {
  return value >= 10_000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(3)));
}

const plotWidth = chartWidth - left - right;
const bottomY = chartHeight - bottom;

/** Beyond the palette, colours come again, drawn apart by dashes and tint. */
export function colourClass(index: number): string {
  return `c${index % paletteSize}${index >= paletteSize ? ' again' : ''}`;
}

function frame(x: Axis, y: Axis, body: string): string {
  const ticks = ticksOf(x).map((value) => {
    const at = left + (value / x.max) * plotWidth;
    return tickX(at, x.format(value), at > chartWidth - 30 ? 'end' : 'middle');
  });
  return svg(`${gridY(y)}${ticks.join('')}${body}`);
}

function svg(body: string): string {
  return `<svg viewBox="0 0 ${chartWidth} ${chartHeight}" role="img">${body}</svg>`;
}

function gridY(y: Axis): string {
  return ticksOf(y)
    .map((value) => {
      const at = toY(value, y.max);
      return (
        `<line class="grid" x1="${left}" x2="${chartWidth - right}" y1="${place(at)}" y2="${place(at)}"/>` +
        `<text class="tick" x="${left - 5}" y="${place(at + 3.5)}" text-anchor="end">${y.format(value)}</text>`
      );
    })
    .join('');
}

function tickX(at: number, text: string, anchor = 'middle'): string {
  return `<text class="tick" x="${place(at)}" y="${chartHeight - 8}" text-anchor="${anchor}">${text}</text>`;
}

/** Points along the tops of the steps. */
function outline(values: readonly number[], max: number): string[] {
  return values.flatMap((value, step) => {
    const y = place(toY(value, max));
    return [step, step + 1].map((edge) => `${place(left + (edge / values.length) * plotWidth)},${y}`);
  });
}

function stepMiddle(step: number, steps: number): number {
  return left + ((step + 0.5) / steps) * plotWidth;
}

function toY(value: number, max: number): number {
  return bottomY - (value / max) * (bottomY - top);
}

function place(at: number): string {
  return String(Math.round(at * 10) / 10);
}

/** At most five round numbers between two values. */
function logTicks(from: number, to: number): number[] {
  for (const steps of [
    [1, 2, 5],
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  ]) {
    const ticks: number[] = [];
    for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
      for (const step of steps) {
        const value = step * 10 ** power;
        if (value >= from && value <= to) ticks.push(Number(value.toPrecision(1)));
      }
    }
    const every = Math.ceil(ticks.length / 5);
    if (ticks.length > 1) return ticks.filter((_, index) => index % every === 0);
  }
  return [from];
}

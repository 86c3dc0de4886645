/** Small drawing functions for charts in a report: they return SVG text. Colours are CSS variables of the page. */

export const chartWidth = 400;
export const chartHeight = 210;
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
  readonly format: (value: number) => string;
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
  const y = { max: niceMax(Math.max(...bins.map(({ count }) => count))), format: formatPlain };
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
  let lastLabelX = -Infinity;
  const lines = marks.map(({ name, at }) => {
    const x = toX(Math.min(to, Math.max(from, at)));
    // Labels that would lie on each other go to lines of their own.
    const isClose = x - lastLabelX < 26;
    lastLabelX = x;
    return (
      `<line class="mark" x1="${place(x)}" x2="${place(x)}" y1="${top}" y2="${bottomY}"><title>${name}: ${format(at)}</title></line>` +
      `<text class="mark-name" x="${place(x - 3)}" y="${top + (isClose ? 20 : 8)}" text-anchor="end">${name}</text>`
    );
  });
  const ticks = logTicks(from, to).map((value) => tickX(toX(value), format(value)));
  return svg(`${gridY(y)}${ticks.join('')}${bars.join('')}${lines.join('')}`);
}

/** A round number not below `value`. */
export function niceMax(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 3, 4, 5, 6, 8, 10].find((candidate) => candidate * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

export function formatPlain(value: number): string {
  return value >= 10_000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(3)));
}

const plotWidth = chartWidth - left - right;
const bottomY = chartHeight - bottom;
const paletteSize = 8;

/** Beyond the palette, colours come again, drawn apart by dashes and tint. */
export function colourClass(index: number): string {
  return `c${index % paletteSize}${index >= paletteSize ? ' again' : ''}`;
}

function frame(x: Axis, y: Axis, body: string): string {
  const count = 4;
  const ticks = Array.from({ length: count + 1 }, (_, index) => {
    const share = index / count;
    const anchor = index === count ? 'end' : 'middle';
    return tickX(left + share * plotWidth, x.format(x.max * share), anchor);
  });
  return svg(`${gridY(y)}${ticks.join('')}${body}`);
}

function svg(body: string): string {
  return `<svg viewBox="0 0 ${chartWidth} ${chartHeight}" role="img">${body}</svg>`;
}

function gridY(y: Axis): string {
  return [0, 0.25, 0.5, 0.75, 1]
    .map((share) => {
      const at = toY(share * y.max, y.max);
      return (
        `<line class="grid" x1="${left}" x2="${chartWidth - right}" y1="${place(at)}" y2="${place(at)}"/>` +
        `<text class="tick" x="${left - 5}" y="${place(at + 3.5)}" text-anchor="end">${y.format(share * y.max)}</text>`
      );
    })
    .join('');
}

function tickX(at: number, text: string, anchor = 'middle'): string {
  return `<text class="tick" x="${place(at)}" y="${chartHeight - 8}" text-anchor="${anchor}">${text}</text>`;
}

function outline(values: readonly number[], max: number): string[] {
  return values.map((value, step) => {
    const share = values.length === 1 ? 0.5 : step / (values.length - 1);
    return `${place(left + share * plotWidth)},${place(toY(value, max))}`;
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

/** At most five of 1, 2, 5, 10, 20, 50… between two values; the ends where there are none. */
function logTicks(from: number, to: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
    for (const step of [1, 2, 5]) {
      const value = step * 10 ** power;
      if (value >= from && value <= to) ticks.push(Number(value.toPrecision(1)));
    }
  }
  if (ticks.length < 2) return [from, to];
  const every = Math.ceil(ticks.length / 5);
  return ticks.filter((_, index) => index % every === 0);
}

import { escapeText } from '../../charts/svg.ts';

interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

interface CurveAxis {
  readonly from: number;
  readonly to: number;
  /** Equal distances mean equal ratios. */
  readonly isLogarithmic: boolean;
  readonly format: (value: number) => string;
}

const width = 400;
const height = 230;
const left = 46;
const right = 10;
const top = 10;
const bottom = 24;

/** Curves over a horizontal axis, upwards from 0 to 1. The page's legend finds a curve by its number in `curves`. */
export function curveChart(curves: readonly Curve[], axis: CurveAxis): string {
  const place = axis.isLogarithmic ? Math.log : (value: number): number => value;
  const low = place(axis.from);
  const span = place(axis.to) - low || 1;
  const toX = (x: number): number => left + ((place(Math.max(axis.from, x)) - low) / span) * (width - left - right);
  const toY = (y: number): number => height - bottom - y * (height - top - bottom);
  const rows = [0, 0.25, 0.5, 0.75, 1].map(
    (y) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${toY(y)}" y2="${toY(y)}"/>` +
      `<text class="tick" x="${left - 6}" y="${toY(y) + 4}" text-anchor="end">${y * 100} %</text>`,
  );
  const columns = (axis.isLogarithmic ? logarithmicTicks(axis) : linearTicks(axis)).map(
    (x) => `<text class="tick" x="${tenth(toX(x))}" y="${height - 8}" text-anchor="middle">${axis.format(x)}</text>`,
  );
  const lines = curves.map(({ name, points }, index) => {
    const drawn = points.filter(([x]) => x <= axis.to);
    const path = drawn.map(([x, y]) => `${tenth(toX(x))},${tenth(toY(y))}`).join('L');
    return `<path class="line" data-policy="${index}" d="M${path}"><title>${escapeText(name)}</title></path>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img">${rows.join('')}${columns.join('')}${lines.join('')}</svg>`;
}

/** 1, 2 and 5 times the powers of ten; the powers alone where that would be too many. */
function logarithmicTicks({ from, to }: CurveAxis): number[] {
  const steps = to / from > 1000 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(from)); power <= to; power *= 10) {
    ticks.push(...steps.map((step) => step * power));
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}

function linearTicks({ from, to }: CurveAxis): number[] {
  return Array.from({ length: 5 }, (_, at) => from + ((to - from) * at) / 4);
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

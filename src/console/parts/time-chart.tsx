import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { colourOf, watchColours } from './colours.ts';
import { clock } from './text.ts';

interface Line {
  readonly name: string;
  /** A CSS variable. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
}

interface Props {
  readonly title: string;
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
}

const height = 150;
/** Charts that lie under each other show the same moment. */
const cursors = uPlot.sync('time');

/** Lines over time. What is not known is a gap. */
export function TimeChart({ title, times, lines, format }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const names = lines.map(({ name }) => name).join('\n');
  useEffect(() => {
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(
        options(lines, format, place.current!.clientWidth),
        dataOf(times, lines),
        place.current!,
      );
    };
    draw();
    const observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry!.contentRect.width);
      if (plot.current !== null && plot.current.width !== width) plot.current.setSize({ width, height });
    });
    observer.observe(place.current!);
    const stop = watchColours(draw);
    return () => {
      stop();
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => plot.current?.setData(dataOf(times, lines)));
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={place} />
    </figure>
  );
}

function lastOf(values: uPlot.AlignedData[number] | undefined): number | null {
  return Array.from(values ?? []).findLast((value) => value !== null) ?? null;
}

function dataOf(times: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  return [times.map((ms) => ms / 1000), ...lines.map(({ values }) => [...values])];
}

function options(lines: readonly Line[], format: (value: number) => string, width: number): uPlot.Options {
  const soft = colourOf('--soft');
  const rule = colourOf('--rule');
  const axis = { stroke: soft, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: '11px system-ui' };
  const shown = (value: number | null): string => (value === null || value === undefined ? '?' : format(value));
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    cursor: { sync: { key: cursors.key }, y: false, points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, size: 28, space: 70, values: (_plot, ticks) => ticks.map((tick) => clock(tick * 1000)) },
      { ...axis, size: 52, space: 34, values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      { label: 'at', value: (_plot, at) => (at === null || at === undefined ? 'last' : clock(at * 1000)) },
      ...lines.map(({ name, colour, dashed }) => ({
        label: name,
        stroke: colourOf(colour),
        width: 1.75,
        ...(dashed === true ? { dash: [4, 4] } : {}),
        points: { show: false },
        // Away from the lines, what is known last.
        value: (plot: uPlot, value: number | null, at: number, step: number | null) =>
          shown(step === null ? lastOf(plot.data[at]) : value),
      })),
    ],
  };
}

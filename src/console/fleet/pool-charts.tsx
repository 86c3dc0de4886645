import type { PoolColumn, SeriesJson } from '../../admin/json.ts';
import { paletteSize } from '../../charts/theme.ts';
import { usePolled } from '../live/use-polled.ts';
import { endpointColour, shortName } from '../parts/endpoint-name.tsx';
import { seconds, short } from '../parts/text.ts';
import { TimeChart } from '../parts/time-chart.tsx';

const pollMs = 2000;
/** More lines in a chart cannot be told apart. */
const mostLines = 16;

interface Chart {
  readonly title: string;
  readonly format: (value: number) => string;
  /** Each line's name, column and colour. */
  readonly lines: readonly (readonly [name: string, column: PoolColumn, colour: string, look?: 'dashed'])[];
}

const poolCharts: readonly Chart[] = [
  {
    title: 'Requests ended a second',
    format: short,
    lines: [
      ['all', 'requestsPerSecond', '--c0'],
      ['failed', 'failedPerSecond', '--danger'],
    ],
  },
  {
    title: 'Time to first token',
    format: seconds,
    lines: [
      ['median', 'ttftP50Seconds', '--c2'],
      ['p90', 'ttftP90Seconds', '--c2', 'dashed'],
    ],
  },
  {
    title: 'Requests at once',
    format: short,
    lines: [
      ['in flight', 'inFlight', '--c0'],
      ['held', 'held', '--caution'],
    ],
  },
  {
    title: 'Tokens a second',
    format: short,
    lines: [
      ['prompt', 'promptTokensPerSecond', '--c6'],
      ['of these cached', 'cachedTokensPerSecond', '--clear'],
      ['completion', 'completionTokensPerSecond', '--c1'],
    ],
  },
];

/** The pool over the last ten minutes, and each endpoint over the last two. */
export function PoolCharts() {
  const { answer: series } = usePolled<SeriesJson>('/api/series', pollMs);
  if (series === null || series.pool.endedAtMs.length < 2) return null;
  const { endedAtMs, columns } = series.pool;
  return (
    <section class="charts" aria-label="Over time">
      {poolCharts.map(({ title, format, lines }) => (
        <TimeChart
          key={title}
          title={title}
          times={endedAtMs}
          format={format}
          lines={lines.map(([name, column, colour, look]) => ({
            ...{ name, colour, dashed: look === 'dashed' },
            values: columns[column],
          }))}
        />
      ))}
      <ByEndpoint series={series} title="In flight, by endpoint" column="inFlight" />
      <ByEndpoint series={series} title="Queued prefill tokens, by endpoint" column="queuedPrefillTokens" />
    </section>
  );
}

function ByEndpoint({
  series,
  title,
  column,
}: {
  series: SeriesJson;
  title: string;
  column: 'inFlight' | 'queuedPrefillTokens';
}) {
  const { endedAtMs, columns } = series.endpoints;
  const all = Object.entries(columns);
  const last = (name: string): number => Math.max(0, ...columns[name]![column].map((value) => value ?? 0));
  // The busiest, in the order of their names, so that lines do not change places.
  const busiest = new Set(
    all
      .map(([name]) => name)
      .sort((a, b) => last(b) - last(a))
      .slice(0, mostLines),
  );
  const lines = all
    .filter(([name]) => busiest.has(name))
    .map(([name, values]) => {
      const colour = endpointColour(name);
      return {
        name: shortName(name),
        colour: `--c${colour % paletteSize}`,
        dashed: colour >= paletteSize,
        values: values[column],
      };
    });
  const left = all.length - lines.length + series.endpointsLeftOut;
  return (
    <TimeChart
      title={left > 0 ? `${title} (${left} quieter ones not drawn)` : title}
      times={endedAtMs}
      format={short}
      lines={lines}
    />
  );
}

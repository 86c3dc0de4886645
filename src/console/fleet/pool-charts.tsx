import type { PoolColumn, SeriesJson } from '../../admin/json.ts';
import { paletteSize } from '../../charts/theme.ts';
import { usePolled } from '../live/use-polled.ts';
import { endpointColour, shortName } from '../parts/endpoint-name.tsx';
import { seconds, short } from '../parts/text.ts';
import { TimeChart, type Line } from '../parts/time-chart.tsx';

const pollMs = 2000;
/** More lines in a chart cannot be told apart. */
const mostLines = 16;

/** The pool over the last ten minutes, and each endpoint over the last two. */
export function PoolCharts() {
  const { answer: series } = usePolled<SeriesJson>('/api/series', pollMs);
  if (series === null || series.pool.endedAtMs.length < 2) return null;
  const { endedAtMs, columns } = series.pool;
  const line = (name: string, column: PoolColumn, colour: string, dashed = false): Line => ({
    ...{ name, colour, dashed },
    values: columns[column],
  });
  return (
    <section class="charts" aria-label="Over time">
      <TimeChart
        title="Requests ended a second"
        times={endedAtMs}
        format={short}
        lines={[line('all', 'requestsPerSecond', '--c0'), line('failed', 'failedPerSecond', '--danger')]}
      />
      <TimeChart
        title="Time to first token"
        times={endedAtMs}
        format={seconds}
        lines={[line('median', 'ttftP50Seconds', '--c2'), line('p90', 'ttftP90Seconds', '--c2', true)]}
      />
      <TimeChart
        title="Requests at once"
        times={endedAtMs}
        format={short}
        lines={[line('in flight', 'inFlight', '--c0'), line('held', 'held', '--caution')]}
      />
      <TimeChart
        title="Tokens a second"
        times={endedAtMs}
        format={short}
        lines={[
          line('prompt', 'promptTokensPerSecond', '--c6'),
          line('of these cached', 'cachedTokensPerSecond', '--clear'),
          line('completion', 'completionTokensPerSecond', '--c1'),
        ]}
      />
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

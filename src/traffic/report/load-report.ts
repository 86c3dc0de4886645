import type { Histogram } from '../histogram.ts';
import type { Scores } from '../load/scores.ts';
import type { LoadSummary } from '../load/summary.ts';
import type { EndpointTally, Tally } from '../load/tally.ts';
import type { TimeSeries } from '../time-series.ts';
import { formatCount, formatSeconds, formatShare } from '../../charts/units.ts';
import { card, cards, legend, reportPage, section, table, tiles } from '../../charts/page.ts';
import { formatPlain, histogramChart, lineChart, roundAxis, stackedChart, timeAxis } from '../../charts/svg.ts';
import type { Axis, Series } from '../../charts/svg.ts';

/** More lines in a chart cannot be told apart. */
const maxDrawn = 16;
/** Steps of a chart over time, at most. */
const maxSteps = 72;
const histogramBins = 48;

/** The page that `signalbox load --report` writes. */
export function loadReport(summary: LoadSummary, tally: Tally, scores: Scores): string {
  const names = drawnEndpoints(summary);
  const durationMs = summary.durationSeconds * 1000;
  const time = timeline(durationMs, [...seriesOf(tally), ...scoreSeries(scores)]);
  const body = [
    headline(summary),
    names.length === 0 ? '' : legend(names),
    names.length === 0 ? '' : placement(names, tally, time, summary.endpoints.length),
    section(
      'How long requests took',
      'How many requests took how long, on a logarithmic axis.',
      cards([
        distribution('Time to first token (TTFT)', tally.ttft),
        distribution('Time per token after the first (TPOT)', tally.tpot),
        distribution('End to end (E2E)', tally.e2e),
      ]),
    ),
    scoring(names, scores, time),
    endpointTable(summary),
    summary.errors.length === 0
      ? ''
      : section(
          'Errors',
          'Numbers in messages are left out, so that equal errors are counted together.',
          table(
            ['count', 'error'],
            summary.errors.map(({ count, error }) => [formatCount(count), error]),
            [0],
          ),
        ),
  ];
  const subtitle = `${summary.workload} → ${summary.url} · ${summary.model}`;
  return reportPage('Signalbox load report', subtitle, body.join(''));
}

function headline(summary: LoadSummary): string {
  const { requests, ttftSeconds, tpotSeconds, e2eSeconds } = summary;
  const latency = (name: string, of: { p50: number | null; p99: number | null; mean: number | null }) => ({
    name,
    value: formatSeconds(of.p50),
    about: `median; mean ${formatSeconds(of.mean)}, p99 ${formatSeconds(of.p99)}`,
  });
  const troubles = [
    requests.failed > 0 ? `${formatCount(requests.failed)} failed` : '',
    requests.aborted > 0 ? `${formatCount(requests.aborted)} cut off` : '',
    requests.late > 0 ? `${formatCount(requests.late)} sent late` : '',
  ].filter((text) => text !== '');
  return tiles([
    {
      name: 'Requests answered',
      value: formatCount(requests.completed),
      about: `of ${formatCount(requests.sent)}; ${troubles.length === 0 ? 'none failed' : troubles.join(', ')}`,
    },
    {
      name: 'Rate',
      value: `${summary.requestsPerSecond.toFixed(2)} /s`,
      about: `over ${formatSeconds(summary.durationSeconds)}`,
    },
    latency('TTFT', ttftSeconds),
    latency('TPOT', tpotSeconds),
    latency('E2E', e2eSeconds),
    {
      name: 'Prompt tokens cached',
      value: formatShare(summary.cachedShare),
      about: summary.tokens.cached === null ? 'answers do not say' : `of ${formatCount(summary.tokens.prompt)}`,
    },
  ]);
}

function placement(names: readonly string[], tally: Tally, time: Timeline, total: number): string {
  const of = (pick: (one: EndpointTally) => TimeSeries, perStep: number): Series[] =>
    names.map((name, colour) => ({ name, colour, values: time.values(pick(tally.endpoints.get(name)!), perStep) }));
  const requests = of((one) => one.sent, 1000);
  const stackTop = requests[0]!.values.map((_, step) => requests.reduce((sum, { values }) => sum + values[step]!, 0));
  const lines = (series: Series[]): string => lineChart(series, time.axis, axisFor(series));
  const about =
    names.length < total
      ? `The busiest ${names.length} of ${total} endpoints, over time.`
      : 'Each endpoint, over time.';
  return section(
    'Who got how much',
    about,
    cards([
      card(
        'Requests sent',
        'a second, stacked',
        stackedChart(requests, time.axis, roundAxis(Math.max(...stackTop), formatPlain)),
      ),
      card('Waiting for the first token', 'requests at once', lines(of((one) => one.queued, 1))),
      card('Answering', 'requests at once, after their first token', lines(of((one) => one.running, 1))),
    ]),
  );
}

function scoring(names: readonly string[], scores: Scores, time: Timeline): string {
  if (scores.charts.size === 0) {
    const why = scores.trouble ?? 'the gateway made no decisions during the run';
    return section('Why: the scores', `The scores are not known: ${why}.`, '');
  }
  const charts = [...scores.charts].map(([title, { unit, weight, endpoints }]) => {
    const series = names.flatMap((name, colour) => {
      const one = endpoints.get(name);
      if (one === undefined) return [];
      const sums = time.values(one.sum, null);
      const counts = time.values(one.count, null);
      return [{ name, colour, values: sums.map((sum, step) => (counts[step] === 0 ? NaN : sum / counts[step]!)) }];
    });
    const best = unit === 'seconds' ? 'seconds, the least wins' : 'the most wins';
    const weighed = weight === null ? 'weighted sum' : `weight ${weight}`;
    return card(title, `${weighed}; ${best}`, lineChart(series, time.axis, axisFor(series)));
  });
  const about =
    `Means of each endpoint's scores in ${formatCount(scores.decisions)} decisions of the gateway, over time` +
    `${scores.trouble === null ? '.' : `, as far as they are known: ${scores.trouble}.`}`;
  return section('Why: the scores', about, cards(charts));
}

function distribution(title: string, histogram: Histogram): string {
  const [p50, p90, p99] = [histogram.percentile(0.5), histogram.percentile(0.9), histogram.percentile(0.99)];
  if (p50 === null || p90 === null || p99 === null) return card(title, 'nothing was measured', '');
  const marks = [
    { name: 'p50', at: p50 },
    { name: 'p90', at: p90 },
    { name: 'p99', at: p99 },
  ];
  const about = marks.map(({ name, at }) => `${name} ${formatSeconds(at)}`).join(' · ');
  return card(title, about, histogramChart(histogram.bins(histogramBins), marks, shortSeconds));
}

function endpointTable(summary: LoadSummary): string {
  if (summary.endpoints.length === 0) {
    return section(
      'Endpoints',
      'Answers do not say which endpoint they came from (no x-signalbox-endpoint header).',
      '',
    );
  }
  const head = [
    'endpoint',
    'requests',
    'share',
    'failed',
    'tokens in',
    'tokens out',
    'cached',
    'TTFT p50',
    'p99',
    'why',
  ];
  const rows = summary.endpoints.map((one) => [
    one.endpoint,
    formatCount(one.requests),
    formatShare(one.share),
    formatCount(one.failed),
    formatCount(one.promptTokens),
    formatCount(one.completionTokens),
    formatShare(one.cachedShare),
    formatSeconds(one.ttftSeconds.p50),
    formatSeconds(one.ttftSeconds.p99),
    one.reasons.map(({ reason, count }) => `${formatCount(count)} × ${reason}`).join('\n'),
  ]);
  return section('Endpoints', 'Scores in the reasons are means.', table(head, rows, [1, 2, 3, 4, 5, 6, 7, 8]));
}

function drawnEndpoints(summary: LoadSummary): string[] {
  const busiest = [...summary.endpoints].sort((a, b) => b.requests - a.requests).slice(0, maxDrawn);
  const kept = new Set(busiest.map(({ endpoint }) => endpoint));
  return summary.endpoints.map(({ endpoint }) => endpoint).filter((endpoint) => kept.has(endpoint));
}

/** The time axis that all charts share. */
interface Timeline {
  readonly axis: Axis;
  /** Values by step: sums by the step's milliseconds, times `perMs`; the sums themselves with null. */
  values(series: TimeSeries, perMs: number | null): number[];
}

function timeline(durationMs: number, all: readonly TimeSeries[]): Timeline {
  let stepMs = Math.max(1, ...all.map((series) => series.stepMs));
  while (durationMs / stepMs > maxSteps) stepMs *= 2;
  const steps = Math.max(1, Math.ceil(durationMs / stepMs));
  return {
    axis: timeAxis(durationMs / 1000),
    values(series, perMs) {
      const sums = Array.from(series.at(stepMs).subarray(0, steps));
      if (perMs === null) return sums;
      return sums.map((sum, step) => {
        const widthMs = Math.min(stepMs, durationMs - step * stepMs);
        // The run's last moment may be too short to say anything: it is taken as a whole step.
        return (sum * perMs) / (widthMs < stepMs / 4 ? stepMs : widthMs);
      });
    },
  };
}

function seriesOf(tally: Tally): TimeSeries[] {
  return [...tally.endpoints.values()].flatMap(({ sent, queued, running }) => [sent, queued, running]);
}

function scoreSeries(scores: Scores): TimeSeries[] {
  return [...scores.charts.values()].flatMap(({ endpoints }) =>
    [...endpoints.values()].flatMap(({ sum, count }) => [sum, count]),
  );
}

function axisFor(series: readonly Series[]): Axis {
  const values = series.flatMap((one) => one.values).filter((value) => !Number.isNaN(value));
  return roundAxis(Math.max(0, ...values), formatPlain);
}

function shortSeconds(seconds: number): string {
  return seconds >= 1 ? `${formatPlain(seconds)} s` : `${formatPlain(seconds * 1000)} ms`;
}

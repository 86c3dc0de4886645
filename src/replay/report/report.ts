import { card, cards, reportPage, section, table } from '../../charts/page.ts';
import { stackedChart, timeAxis } from '../../charts/svg.ts';
import type { Comparison } from '../compare.ts';
import type { ScenarioResult } from '../scenario.ts';
import { curveChart } from './curves.ts';
import { policyLegend } from './legend.ts';

const kinds = [
  ['Time to first token (TTFT)', 'ttftSeconds'],
  ['Time per token after the first (TPOT)', 'tpotSeconds'],
  ['End to end (E2E)', 'e2eSeconds'],
] as const;

/** The page that `signalbox replay --report` writes: numbers, distributions, what happens over load, who got how much. */
export function replayReport(comparison: Comparison): string {
  const { scenario, runs } = comparison;
  const profiles = [...new Set(scenario.profiles.map(({ name }) => name))].join(', ');
  const about =
    `${runs[0]?.result.requests ?? 0} requests over ${scenario.profiles.length} endpoints (${profiles}), arrivals ×${scenario.rate}, ` +
    `seed ${scenario.seed}, gauges ${scenario.stalenessMs} ms apart${scenario.streaming ? '' : ', answers not streamed'}. ` +
    `In time: TTFT at most ${scenario.slo.ttftSeconds} s and TPOT at most ${scenario.slo.tpotSeconds * 1000} ms.`;
  const names = runs.map(({ result }) => result.policy);
  const emphasised = runs.findIndex(({ result }) => result.default);
  const body = [
    policyLegend(names, emphasised),
    section('Numbers', 'The lowest mean end-to-end time first.', numbers(runs)),
    section('How long requests took', 'Share of requests (upwards) that took at most so long.', distributions(runs)),
    overLoad(comparison),
    section('Who got how much', 'Share of the requests that each endpoint answered, over time.', shares(runs)),
  ];
  return reportPage(`Policies on ${scenario.trace}`, about, body.join(''));
}

function numbers(runs: readonly ScenarioResult[]): string {
  const seconds = (value: number | null): string => (value === null ? '–' : value.toFixed(2));
  const milliseconds = (value: number | null): string => (value === null ? '–' : (value * 1000).toFixed(0));
  const rows = [...runs]
    .sort((left, right) => (left.result.e2eSeconds.mean ?? Infinity) - (right.result.e2eSeconds.mean ?? Infinity))
    .map(({ result }) => {
      const { ttftSeconds, tpotSeconds, e2eSeconds, completed, perEndpoint } = result;
      const most = Math.max(...perEndpoint.map(({ requests }) => requests));
      return [
        `${result.policy}${result.default ? ' (default)' : ''}`,
        ...[e2eSeconds.mean, e2eSeconds.p50, e2eSeconds.p99].map(seconds),
        ...[ttftSeconds.mean, ttftSeconds.p50, ttftSeconds.p99].map(seconds),
        ...[tpotSeconds.mean, tpotSeconds.p99].map(milliseconds),
        percent(result.inSlo),
        percent(result.cachedShare),
        percent(completed === 0 ? 0 : most / completed),
        `${result.failed}`,
      ];
    });
  const heads = ['policy', 'E2E s', 'p50', 'p99', 'TTFT s', 'p50', 'p99', 'TPOT ms', 'p99', 'in time', 'cached'];
  heads.push('busiest endpoint', 'failed');
  return table(
    heads,
    rows,
    heads.map((_, at) => at).filter((at) => at > 0),
  );
}

function distributions(runs: readonly ScenarioResult[]): string {
  const charts = kinds.map(([title, kind]) => {
    const curves = runs.map(({ result, drawing }) => ({
      name: result.policy,
      points: drawing[kind].map((value, at) => [Math.max(value, 0.001), at / (drawing[kind].length - 1)] as const),
    }));
    const p99s = runs.flatMap(({ result }) => result[kind].p99 ?? []);
    if (p99s.length === 0) return '';
    const least = Math.min(...curves.flatMap(({ points }) => points.slice(0, 1).map(([x]) => x)));
    // A policy that breaks down would squeeze all others into a corner: its end is cut off.
    const greatest = Math.max(...p99s.filter((p99) => p99 <= 10 * Math.min(...p99s)));
    const axis = { from: least, to: 1.5 * greatest, isLogarithmic: true, format: secondsLabel };
    return card(title, 'logarithmic', curveChart(curves, axis));
  });
  return cards(charts);
}

function overLoad({ runs, sweep, breaking }: Comparison): string {
  if (sweep.length === 0 && breaking === null) return '';
  const curves = runs.map(({ result }, index) => ({
    name: result.policy,
    points: sweep.map(({ rate, runs: atRate }) => [rate, atRate[index]!.result.inSlo] as const),
  }));
  const axis = {
    from: sweep[0]?.rate ?? 0,
    to: sweep.at(-1)?.rate ?? 1,
    isLogarithmic: false,
    format: (rate: number) => `×${rate.toFixed(2)}`,
  };
  const about = 'arrivals as a multiple of the recorded';
  const chart = sweep.length === 0 ? '' : card('Share in time', about, curveChart(curves, axis));
  const rows = [...(breaking ?? [])]
    .sort((left, right) => (right.load?.rate ?? 0) - (left.load?.rate ?? 0))
    .map(({ policy, load }) => [policy, load === null ? '–' : `×${load.rate.toFixed(2)}`]);
  const loads = breaking === null ? '' : table(['policy', 'greatest rate with 90 % in time'], rows, [1]);
  return section(
    'Over load',
    'What share is in time when requests come more densely.',
    `<div style="max-width:640px">${chart}${loads}</div>`,
  );
}

function shares(runs: readonly ScenarioResult[]): string {
  const charts = runs.map(({ result, drawing }) => {
    const totals = drawing.requestsOverTime.map((counts) => counts.reduce((sum, count) => sum + count, 0));
    const series = result.perEndpoint.map(({ requests }, endpoint) => ({
      name: `endpoint ${endpoint}: ${requests} requests`,
      colour: endpoint,
      values: drawing.requestsOverTime.map((counts, bin) => counts[endpoint]! / (totals[bin]! || 1)),
    }));
    const share = { max: 1, step: 0.25, format: percentLabel };
    return card(result.policy, '', stackedChart(series, timeAxis(drawing.lastArrivalSeconds), share));
  });
  return cards(charts);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function percentLabel(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function secondsLabel(seconds: number): string {
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(2))} ms` : `${Number(seconds.toPrecision(2))} s`;
}

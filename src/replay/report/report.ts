import type { Comparison } from '../compare.ts';
import type { Drawing, PolicyResult } from '../result.ts';
import type { ScenarioResult } from '../scenario.ts';
import { escapeHtml } from './escape.ts';
import { lineChart } from './line-chart.ts';
import type { Series } from './line-chart.ts';
import { script, styles } from './page.ts';

/** One HTML page that needs nothing else: numbers, distributions, shares, and what happens over load. */
export function reportHtml(comparison: Comparison): string {
  const { scenario, runs } = comparison;
  const title = `Policies on ${scenario.trace}`;
  const requests = runs[0]?.result.requests ?? 0;
  const profiles = [...new Set(scenario.profiles.map(({ name }) => name))].join(', ');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${styles(runs.length, defaultIndexOf(runs))}</style></head><body>
<h1>${escapeHtml(title)}</h1>
<p>${requests} requests over ${scenario.profiles.length} endpoints (${escapeHtml(profiles)}), arrivals ×${scenario.rate}, seed ${scenario.seed},
gauges ${scenario.stalenessMs} ms apart${scenario.streaming ? '' : ', answers not streamed'}. In time: TTFT ≤ ${scenario.slo.ttftSeconds} s and TPOT ≤ ${scenario.slo.tpotSeconds * 1000} ms.</p>
${legend(runs)}
<h2>Numbers</h2>
${numbers(runs)}
<h2>Distributions</h2>
<p>How many of the requests (upwards) took at most so long (to the right).</p>
<div class="charts">${distributions(runs)}</div>
${overLoad(comparison)}
<h2>Who got how much</h2>
<p>Share of the requests that each endpoint answered: the evener the colours, the evener the load; time runs from left to right.</p>
<div class="charts">${runs.map(shares).join('')}</div>
<script>${script}</script></body></html>
`;
}

function defaultIndexOf(runs: readonly ScenarioResult[]): number {
  return runs.findIndex(({ result }) => result.default);
}

function legend(runs: readonly ScenarioResult[]): string {
  const items = runs.map(
    ({ result }, index) => `<button data-series="${index}"><i></i>${escapeHtml(result.policy)}</button>`,
  );
  return `<nav aria-label="Policies">${items.join('')}</nav>`;
}

function numbers(runs: readonly ScenarioResult[]): string {
  const seconds = (value: number | null): string => (value === null ? '–' : value.toFixed(2));
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  const row = ({ result }: ScenarioResult): string => {
    const { ttftSeconds, tpotSeconds, e2eSeconds } = result;
    const cells = [
      ...[e2eSeconds.mean, e2eSeconds.p50, e2eSeconds.p99, ttftSeconds.mean, ttftSeconds.p50, ttftSeconds.p99].map(
        seconds,
      ),
      ...[tpotSeconds.mean, tpotSeconds.p99].map((value) => (value === null ? '–' : (value * 1000).toFixed(0))),
      percent(result.inSlo),
      percent(result.cachedShare),
      `${result.failed}`,
    ];
    const name = `${escapeHtml(result.policy)}${result.default ? ' (default)' : ''}`;
    return `<tr><th scope="row">${name}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  };
  const sorted = [...runs].sort(
    (left, right) => (left.result.e2eSeconds.mean ?? Infinity) - (right.result.e2eSeconds.mean ?? Infinity),
  );
  const groups =
    '<tr><th></th><th colspan="3">E2E s</th><th colspan="3">TTFT s</th><th colspan="2">TPOT ms</th><th></th><th></th><th></th></tr>';
  const heads = ['policy', 'mean', 'p50', 'p99', 'mean', 'p50', 'p99', 'mean', 'p99', 'in time', 'cached', 'failed'];
  return `<div class="scroll"><table><thead>${groups}<tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr></thead><tbody>${sorted.map(row).join('')}</tbody></table></div>`;
}

function distributions(runs: readonly ScenarioResult[]): string {
  const kinds = [
    ['TTFT', 'ttftSeconds'],
    ['TPOT', 'tpotSeconds'],
    ['E2E', 'e2eSeconds'],
  ] as const;
  return kinds
    .map(([title, kind]) =>
      lineChart({
        title,
        xLabel: 'seconds',
        yLabel: 'share of requests',
        xIsLogarithmic: true,
        xFormat: (value) => `${Number(value.toPrecision(2))}`,
        yFormat: percentLabel,
        series: runs.map(({ result, drawing }, index) => ({
          index,
          name: result.policy,
          points: drawing[kind].map((value, at) => [Math.max(value, 0.001), at / (drawing[kind].length - 1)] as const),
        })),
      }),
    )
    .join('');
}

function overLoad({ runs, sweep, breaking }: Comparison): string {
  if (sweep.length === 0 && breaking === null) return '';
  const series = runs.map(({ result }, index): Series => ({
    index,
    name: result.policy,
    points: sweep.map(({ rate, runs: atRate }) => [rate, atRate[index]!.result.inSlo] as const),
  }));
  const chart = lineChart({
    title: 'Share in time over load',
    xLabel: 'arrivals, as a multiple of the recorded ones',
    yLabel: 'share in time',
    xIsLogarithmic: false,
    xFormat: (value) => `×${value.toFixed(2)}`,
    yFormat: percentLabel,
    series,
  });
  const loads = breaking?.map(
    ({ policy, load }) =>
      `<tr><th scope="row">${escapeHtml(policy)}</th><td>${load === null ? '–' : `×${load.rate.toFixed(2)}`}</td></tr>`,
  );
  const table =
    loads === undefined
      ? ''
      : `<h3>The load at which each breaks</h3><p>Greatest load with 90 % in time.</p><table><tbody>${loads.join('')}</tbody></table>`;
  return `<h2>Over load</h2><div class="charts">${chart}</div>${table}`;
}

function shares({ result, drawing }: ScenarioResult): string {
  return `<figure><figcaption>${escapeHtml(result.policy)}</figcaption>${areas(result, drawing)}</figure>`;
}

/** Stacked areas: a band for each endpoint, as wide as its share of the requests that arrived then. */
function areas(result: PolicyResult, { requestsOverTime }: Drawing): string {
  const width = 320;
  const height = 120;
  const endpoints = result.perEndpoint.length;
  const columns = requestsOverTime.map((counts) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    let below = 0;
    return [0, ...counts.map((count) => (below += count / total))];
  });
  const x = (at: number): number => Math.round((at / Math.max(1, columns.length - 1)) * width);
  const y = (share: number): number => Math.round((1 - share) * height * 10) / 10;
  const bands = Array.from({ length: endpoints }, (_, endpoint) => {
    const upper = columns.map((column, at) => `${x(at)} ${y(column[endpoint + 1]!)}`);
    const lower = columns.map((column, at) => `${x(at)} ${y(column[endpoint]!)}`).reverse();
    const { requests } = result.perEndpoint[endpoint]!;
    const hue = Math.round((endpoint * 360) / endpoints);
    return `<path fill="hsl(${hue} 45% 55%)" d="M${[...upper, ...lower].join('L')}Z"><title>endpoint ${endpoint}: ${requests} requests</title></path>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Share of each endpoint over time">${bands.join('')}</svg>`;
}

function percentLabel(share: number): string {
  return `${Math.round(share * 100)} %`;
}

import type { Summary } from '../histogram.ts';
import { formatCount, formatSeconds, formatShare } from '../../charts/units.ts';
import type { LoadSummary } from './summary.ts';

const reasonsShown = 3;

/** The result of a run as text for a terminal. */
export function renderTable(summary: LoadSummary): string {
  const { requests, tokens } = summary;
  const lines = [
    `${summary.workload} → ${summary.url} (${summary.model})`,
    `${formatCount(requests.completed)} of ${formatCount(requests.sent)} requests answered in ` +
      `${formatSeconds(summary.durationSeconds)} (${summary.requestsPerSecond.toFixed(2)} a second)` +
      `${requests.failed > 0 ? `, ${formatCount(requests.failed)} failed` : ''}` +
      `${requests.aborted > 0 ? `, ${formatCount(requests.aborted)} cut off at the end` : ''}`,
    '',
    ...align(
      [['', 'mean', 'p50', 'p90', 'p99'], ...latencies(summary).map(([name, values]) => [name, ...row(values)])],
      [0],
    ),
    '',
    `tokens: ${formatCount(tokens.prompt)} in prompts` +
      (tokens.cached === null
        ? ' (no answer says how many were cached)'
        : `, ${formatCount(tokens.cached)} of them cached (${formatShare(summary.cachedShare)})`) +
      `, ${formatCount(tokens.completion)} in answers`,
  ];
  if (requests.late > 0) {
    lines.push(
      `sent late: ${formatCount(requests.late)}; all places of --concurrency were taken, or this machine was too slow`,
    );
  }
  if (summary.errors.length > 0) {
    lines.push(
      '',
      'errors',
      ...align(
        summary.errors.map(({ error, count }) => [formatCount(count), error]),
        [1],
      ),
    );
  }
  if (summary.endpoints.length > 0) {
    const header = [
      'endpoint',
      'requests',
      'share',
      'tokens in',
      'cached',
      'TTFT p50',
      'p99',
      'why (scores are means)',
    ];
    const rows = summary.endpoints.flatMap((one) => {
      const [first, ...more] = one.reasons.slice(0, reasonsShown).map(({ reason, count }) => `${count} × ${reason}`);
      const cells = [
        one.endpoint,
        formatCount(one.requests),
        formatShare(one.share),
        formatCount(one.promptTokens),
        formatShare(one.cachedShare),
        formatSeconds(one.ttftSeconds.p50),
        formatSeconds(one.ttftSeconds.p99),
        first ?? '–',
      ];
      return [cells, ...more.map((reason) => ['', '', '', '', '', '', '', reason])];
    });
    lines.push('', ...align([header, ...rows], [0, header.length - 1]));
  } else {
    lines.push('', 'Answers do not say which endpoint they came from (no x-signalbox-endpoint header).');
  }
  return `${lines.join('\n')}\n`;
}

function latencies(summary: LoadSummary): [string, Summary][] {
  return [
    ['TTFT', summary.ttftSeconds],
    ['TPOT', summary.tpotSeconds],
    ['E2E', summary.e2eSeconds],
  ];
}

function row(summary: Summary): string[] {
  return [summary.mean, summary.p50, summary.p90, summary.p99].map(formatSeconds);
}

/** Columns of equal width, numbers to the right. */
function align(rows: readonly (readonly string[])[], toLeft: readonly number[]): string[] {
  const widths: number[] = [];
  for (const cells of rows) cells.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows.map((cells) =>
    cells
      .map((cell, at) => (toLeft.includes(at) ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join('  ')
      .trimEnd(),
  );
}

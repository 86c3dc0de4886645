import { availableParallelism, cpus } from 'node:os';
import type { LoadResult } from '../lib/load-result.ts';
import { median } from '../lib/median.ts';
import type { Scraping } from './scraping.ts';

/** One way measured once. */
export interface Round extends LoadResult {
  readonly requestsPerSecond: number;
  /** CPU per request; null where the process is not on the way. */
  readonly envoyMicros: number | null;
  readonly eppMicros: number | null;
}

/** One kind of request on one way, measured in several rounds. */
export interface Cell {
  readonly measurement: string;
  readonly way: string;
  readonly rounds: readonly Round[];
}

export interface Figures {
  readonly cells: readonly Cell[];
  readonly scraping: Scraping | null;
  readonly connections: number;
  readonly envoyVersion: string;
}

/** What the figures are held against: our EPP's own CPU per request in µs, at most. */
const asked: Readonly<Record<string, number>> = { '200 B': 100, '8 KB': 130, '64 KB': 250 };
const askedOfStreams = 60;
const askedLatencyMs = 0.5;
const askedLargePerCore = 650;

export function page({ cells, scraping, connections, envoyVersion }: Figures): string {
  const medianOf = (measurement: string, way: string, pick: (round: Round) => number | null): number => {
    const found = cells.find((cell) => cell.measurement === measurement && cell.way === way);
    return median((found?.rounds ?? []).map((round) => pick(round) ?? NaN));
  };
  const epp = (measurement: string, way = 'with the EPP'): number =>
    medianOf(measurement, way, (round) => round.eppMicros);
  const sizes = Object.keys(asked);
  const oneConnection = (way: string): number => medianOf('8 KB, one connection', way, (round) => round.p50Micros);
  const addedMs = (oneConnection('with the EPP') - oneConnection('engine')) / 1000;
  const perCore = 1e6 / epp('220 KB');
  const faults = cells.reduce((sum, { rounds }) => sum + rounds.reduce((all, round) => all + round.faults, 0), 0);
  const rows = [
    ...sizes.map((size) => [
      `own CPU per request, ${size}`,
      `at most ${asked[size]} µs`,
      `${shown(epp(size))} µs`,
      yesOrNo(epp(size) <= asked[size]!),
    ]),
    ...sizes.map((size) => {
      const more = epp(`${size}, stream`) - epp(`${size}, answered at once`);
      return [
        `more for a stream of 50 chunks, ${size}, one in 16 read`,
        `at most ${askedOfStreams} µs`,
        `${shown(more)} µs; every one read: ${shown(epp(`${size}, stream`, 'every stream read') - epp(`${size}, answered at once`))} µs`,
        yesOrNo(more <= askedOfStreams),
      ];
    }),
    [
      'added latency at one connection, p50, 8 KB, Envoy included',
      `under ${askedLatencyMs} ms`,
      `${addedMs.toFixed(2)} ms`,
      yesOrNo(addedMs < askedLatencyMs),
    ],
    [
      '220 KB bodies a second and core of the EPP',
      `at least ${askedLargePerCore}`,
      shown(perCore),
      yesOrNo(perCore >= askedLargePerCore),
    ],
    ['bodies cut short or changed (checksums of every one)', 'none', String(faults), yesOrNo(faults === 0)],
    ...(scraping === null ? [] : scrapingRows(scraping)),
  ];
  return `# The endpoint picker behind Envoy, measured

Written by \`npm run bench:epp\`; do not edit. Envoy ${envoyVersion} with the bootstrap that \`signalbox envoy-config\` prints, on one
thread and one core with the EPP; load and four instant engines on the other core. ${connections} connections, rounds alternate between
the ways; CPU is user and system time of each process and all its threads, from /proc. Median, and from the least to the most of the rounds.
Sections may have been measured one after another (\`-- sizes\`, \`streams\`, \`latency\`, \`scraping\`).

Machine: ${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}.
How noisy it was is seen from Envoy alone, which takes about 45 µs for 200 B on this machine when nothing else runs.

## What was asked, what was measured

${table(['asked of the EPP', 'figure', 'measured', 'met'], rows)}

## All of it

CPU in µs per request.

${table(
  ['requests', 'way', 'EPP', 'Envoy', 'p50 ms', 'p99 ms', 'a second'],
  cells.map(({ measurement, way, rounds }) => [
    measurement,
    way,
    spread(rounds.map((round) => round.eppMicros)),
    spread(rounds.map((round) => round.envoyMicros)),
    (median(rounds.map((round) => round.p50Micros)) / 1000).toFixed(2),
    (median(rounds.map((round) => round.p99Micros)) / 1000).toFixed(2),
    shown(median(rounds.map((round) => round.requestsPerSecond))),
  ]),
)}
`;
}

function scrapingRows(scraping: Scraping): string[][] {
  return [
    [
      `watching ${scraping.endpoints} idle endpoints`,
      'under 5 % of a core',
      `${(scraping.coreShare * 100).toFixed(1)} %`,
      yesOrNo(scraping.coreShare < 0.05),
    ],
    [
      'oldest gauge of an idle endpoint',
      '10 s',
      `${(scraping.oldestIdleMs / 1000).toFixed(1)} s`,
      yesOrNo(scraping.oldestIdleMs <= 10_000),
    ],
    [
      'oldest gauge of one with traffic',
      '250 ms',
      `${shown(scraping.oldestBusyMs)} ms`,
      yesOrNo(scraping.oldestBusyMs <= 250),
    ],
  ];
}

function shown(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(0);
}

function spread(values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return '–';
  return `${shown(median(known))} (${shown(Math.min(...known))}–${shown(Math.max(...known))})`;
}

function yesOrNo(met: boolean): string {
  return met ? 'yes' : '**no**';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

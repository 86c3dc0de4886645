import { availableParallelism, cpus } from 'node:os';
import { busyCells, pacedChunks } from './cells.ts';
import type { LoadResult } from '../lib/load-result.ts';
import { median } from '../lib/median.ts';

export interface Round extends LoadResult {
  /** Per request, of the whole process tree. */
  readonly cpuMicros: number;
}

/** Rounds by table, cell and way: `busy A haproxy`. */
export type Results = ReadonlyMap<string, readonly Round[]>;

interface Goal {
  readonly what: string;
  readonly measured: number;
  readonly atMost: number;
  readonly unit: string;
}

const streamed: ReadonlySet<string> = new Set(['As', 'Bs']);

/** The page, and what its plot shows. */
export function page(
  results: Results,
  ways: readonly string[],
  options: { rounds: number; seconds: number; leftOut: readonly string[] },
): string {
  const all = (table: string, cell: string, way: string): readonly Round[] =>
    results.get(`${table} ${cell} ${way}`) ?? [];
  const cpu = (table: string, cell: string, way: string): number => median(all(table, cell, way).map(cpuOf));
  const p50 = (cell: string, way: string): number => median(all('alone', cell, way).map((round) => round.p50Micros));
  const added = (cell: string, way: string): number => p50(cell, way) - p50(cell, 'direct');
  const cells = busyCells.map(({ name }) => name);
  const proxies = ways.filter((way) => way !== 'direct');

  const goals: Goal[] = cells.map((cell) => {
    const factor = streamed.has(cell) ? 1.2 : cell.startsWith('C') ? 1.35 : 1;
    const envoy = cpu('busy', cell, 'envoy') * factor;
    const sglang = cpu('busy', cell, 'sglang-router') / 2;
    const atMost = Number.isNaN(sglang) ? envoy : Math.min(envoy, sglang);
    return { what: `CPU per request, ${cell}`, measured: cpu('busy', cell, 'signalbox'), atMost, unit: 'µs' };
  });
  const perChunk = (way: string): number => cpu('paced', 'paced', way) / pacedChunks;
  goals.push({ what: 'CPU per paced chunk', measured: perChunk('signalbox'), atMost: perChunk('envoy'), unit: 'µs' });
  for (const [cell, atMost] of [
    ['A', 250],
    ['B', 250],
    ['C', 350],
  ] as const) {
    goals.push({ what: `added latency, ${cell}, p50`, measured: added(cell, 'signalbox'), atMost, unit: 'µs' });
  }
  const large = cpu('corpus', '220 KB', 'signalbox');
  goals.push({
    what: 'CPU per 220 KB body (2,200 a second and core)',
    measured: large,
    atMost: 1e6 / 2200,
    unit: 'µs',
  });
  const faults = [...results.values()].flat().reduce((sum, round) => sum + round.faults, 0);
  const corpus = [
    ...new Set(
      [...results.keys()].filter((key) => key.startsWith('corpus ')).map((key) => key.slice(7, key.lastIndexOf(' '))),
    ),
  ];

  return `# What the gateway costs

Written by \`npm run bench\`; do not edit. \`npm run bench:quick\` prints one short round in under three minutes.
What else is measured here: [routing](routing.md), [who goes first](admission.md), [prefixes](prefix.md).

Everything runs at once on one machine: four engines that answer instantly, a load generator, and what stands between them on a core
of its own. CPU is user and system time of the whole process tree, from /proc. Rounds alternate between the ways; median, and from
the least to the most of ${options.rounds} rounds of ${options.seconds} s. Signalbox runs with its default policy, prefix index, ledger, journal, metrics and
one access line a request; haproxy (with \`http-no-delay\`) and Envoy take the engines in turn; the routers run \`cache_aware\`; LiteLLM is measured
by itself, with four connections.

Machine: ${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}. Answers that failed: ${faults}.${options.leftOut.length === 0 ? '' : ` Left out, for want of them here: ${options.leftOut.join(', ')}.`}

A = completion of 200 B, B = chat of 8 KB (32 groups that share 2 KB), C = chat of 64 KB (64 groups that share 48 KB); s = streamed, 50 events at once. 64 connections.

## What is asked, what was measured

${table(
  ['asked', 'at most', 'measured', 'met'],
  goals
    .filter(({ measured, atMost }) => !Number.isNaN(measured) && !Number.isNaN(atMost))
    .map(({ what, atMost, measured, unit }) => [
      what,
      `${shown(atMost)} ${unit}`,
      `${shown(measured)} ${unit}`,
      measured <= atMost ? 'yes' : '**no**',
    ]),
)}

## CPU per request, µs

![CPU per request](proxy/cpu.svg)

${table(
  ['', ...cells, 'paced, per chunk'],
  proxies.map((way) => [
    way,
    ...cells.map((cell) => spread(all('busy', cell, way).map(cpuOf))),
    spread(all('paced', 'paced', way).map((round) => cpuOf(round) / pacedChunks)),
  ]),
)}

As a multiple of Envoy's:

${table(
  ['', ...cells, 'paced'],
  proxies.map((way) => [
    way,
    ...cells.map((cell) => ratio(cpu('busy', cell, way), cpu('busy', cell, 'envoy'))),
    ratio(perChunk(way), perChunk('envoy')),
  ]),
)}

## Latency added at one connection, p50, µs

${table(
  ['', 'A', 'B', 'C'],
  proxies.map((way) => [way, ...['A', 'B', 'C'].map((cell) => shown(added(cell, way)))]),
)}

## Larger bodies; prompts all known and none known: CPU per request, µs

16 connections for 220 KB and 1 MB. B and C above are mixed: a quarter of each prompt, or three quarters, is known.

![CPU per request, larger bodies](proxy/corpora.svg)

${table(
  ['', ...corpus],
  proxies.map((way) => [way, ...corpus.map((cell) => spread(all('corpus', cell, way).map(cpuOf)))]),
)}
`;
}

/** CPU per request as bars, a group for each kind of request. */
export function plot(results: Results, ways: readonly string[], table: string, cells: readonly string[]): string {
  const proxies = ways.filter((way) => way !== 'direct');
  const colours = ['#8a8f98', '#4e79a7', '#f28e2b', '#b07aa1', '#59a14f'];
  const value = (cell: string, way: string): number =>
    median((results.get(`${table} ${cell} ${way}`) ?? []).map(cpuOf));
  const most = Math.max(...cells.flatMap((cell) => proxies.map((way) => value(cell, way) || 0)));
  const [height, bar, gap] = [220, 16, 24];
  const group = proxies.length * bar + gap;
  const bars = cells.flatMap((cell, index) =>
    proxies.map((way, at) => {
      const size = ((value(cell, way) || 0) / most) * height;
      const x = 10 + index * group + at * bar;
      return `<rect x="${x}" y="${(20 + height - size).toFixed(1)}" width="${bar - 2}" height="${size.toFixed(1)}" fill="${colours[at % colours.length]}"><title>${way} ${cell}: ${shown(value(cell, way))} µs</title></rect>`;
    }),
  );
  const names = cells.map((cell, index) => `<text x="${10 + index * group}" y="${height + 36}">${cell}</text>`);
  const legend = proxies.map(
    (way, at) => `<text x="${10 + at * 110}" y="${height + 58}" fill="${colours[at % colours.length]}">■ ${way}</text>`,
  );
  const width = 20 + cells.length * group;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height + 70}" font-family="sans-serif" font-size="12" fill="#555"><text x="10" y="12">µs of CPU per request; highest ${shown(most)}</text>${[...bars, ...names, ...legend].join('')}</svg>\n`;
}

function cpuOf(round: Round): number {
  return round.cpuMicros;
}

function ratio(value: number, of: number): string {
  return Number.isNaN(value / of) ? '–' : (value / of).toFixed(2);
}

function shown(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(0);
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return '–';
  return `${shown(median(values))} (${shown(Math.min(...values))}–${shown(Math.max(...values))})`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/**
 * `npm run bench:epp`: what the endpoint picker costs behind a real Envoy, beside the same Envoy without it. Written to
 * bench/epp.md; `-- --quick` takes one short round and writes nothing. `-- SECTION…` (sizes, streams, latency, scraping)
 * measures those anew and keeps what is known of the others. Needs two cores and python3 (for Envoy).
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/lib/source-files.ts';
import { envoyVersion, testedEnvoy } from '../src/stack/envoy-program.ts';
import { page, type Cell, type Figures, type Round } from './epp/page.ts';
import { startEngines, startEnvoy, startEpp, startLoad, type Front } from './epp/processes.ts';
import { cpuMicros, stop } from './lib/processes.ts';
import { measureScraping } from './epp/scraping.ts';
import type { Traffic } from './lib/traffic.ts';

const isQuick = process.argv.includes('--quick');
const sections = ['sizes', 'streams', 'latency', 'scraping'] as const;
type Section = (typeof sections)[number];
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const unknown = named.find((name) => !(sections as readonly string[]).includes(name));
if (unknown !== undefined) {
  console.error(`there is no section "${unknown}": ${sections.join(', ')}`);
  process.exit(2);
}
const takesPart = (section: Section): boolean => named.length === 0 || named.includes(section);
/** What earlier runs have measured. */
const resultsFile = join(root, 'bench/epp/results.json');
const rounds = isQuick ? 1 : 3;
const warmUps = isQuick ? 1 : 2;
const connections = 64;

const completion = { path: '/v1/completions', bodyBytes: 200, groups: 1, sharedBytes: 20 } as const;
const chat8 = { path: '/v1/chat/completions', bodyBytes: 8 * 1024, groups: 32, sharedBytes: 2 * 1024 } as const;
const chat64 = { path: '/v1/chat/completions', bodyBytes: 64 * 1024, groups: 64, sharedBytes: 48 * 1024 } as const;
const chat220 = { path: '/v1/chat/completions', bodyBytes: 220 * 1024, groups: 64, sharedBytes: 160 * 1024 } as const;

interface Measurement {
  readonly section: Section;
  readonly name: string;
  readonly traffic: Traffic;
  readonly connections: number;
  /** In a round. */
  readonly requests: number;
}

const measurements: readonly Measurement[] = (
  [
    ['sizes', '200 B', { ...completion, stream: false }, connections, 10_000],
    ['sizes', '8 KB', { ...chat8, stream: false }, connections, 6000],
    ['sizes', '64 KB', { ...chat64, stream: false }, connections, 2500],
    ['sizes', '220 KB', { ...chat220, stream: false }, connections, 1000],
    ['streams', '200 B, answered at once', { ...completion, stream: false }, connections, 5000],
    ['streams', '200 B, stream', { ...completion, stream: true }, connections, 2500],
    ['streams', '8 KB, answered at once', { ...chat8, stream: false }, connections, 4000],
    ['streams', '8 KB, stream', { ...chat8, stream: true }, connections, 2500],
    ['streams', '64 KB, answered at once', { ...chat64, stream: false }, connections, 1500],
    ['streams', '64 KB, stream', { ...chat64, stream: true }, connections, 1500],
    ['latency', '8 KB, one connection', { ...chat8, stream: false }, 1, 2000],
  ] as const
)
  .map(([section, name, traffic, count, requests]) => ({ section, name, traffic, connections: count, requests }))
  .filter(({ section }) => takesPart(section));

const program = await testedEnvoy();
const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** What requests go through, by name. */
interface Way {
  readonly name: string;
  readonly port: number;
  readonly envoy: Front | null;
  readonly epp: Front | null;
}

const engines = await startEngines(4);
const endpoints = engines.ports.map((port) => `http://127.0.0.1:${port}`);
const load = startLoad();

async function behindEnvoy(name: string, flags: readonly string[], tls: boolean): Promise<Way> {
  const epp = await startEpp({ endpoints, flags: [...flags, `--secure-serving=${tls}`] });
  const envoy = await startEnvoy({ program, folder, endpoints, epp: { port: epp.port, tls } });
  return { name, port: envoy.port, envoy, epp };
}

const alone = await startEnvoy({ program, folder, endpoints, epp: null });
const ways: readonly Way[] = [
  { name: 'engine', port: engines.ports[0]!, envoy: null, epp: null },
  { name: 'Envoy alone', port: alone.port, envoy: alone, epp: null },
  await behindEnvoy('with the EPP', [], false),
  await behindEnvoy('every stream read', ['--observe-streams', '1'], false),
  await behindEnvoy('over TLS', [], true),
];

/** The engine itself is asked only where latency is compared; reading every stream differs only with streams. */
function waysFor({ section, traffic }: Measurement): readonly Way[] {
  return ways.filter(({ name }) => {
    if (name === 'engine') return section === 'latency';
    if (name === 'every stream read') return traffic.stream;
    return name !== 'over TLS' || section !== 'streams';
  });
}

async function round({ traffic, connections: count, requests }: Measurement, way: Way): Promise<Round> {
  const { envoy, epp, port } = way;
  const before = { envoy: envoy === null ? 0 : cpuMicros(envoy.pid), epp: epp === null ? 0 : cpuMicros(epp.pid) };
  const result = await load({ port, traffic, connections: count, requests });
  const per = (used: number): number => used / result.requests;
  return {
    ...result,
    requestsPerSecond: result.requests / result.seconds,
    envoyMicros: envoy === null ? null : per(cpuMicros(envoy.pid) - before.envoy),
    eppMicros: epp === null ? null : per(cpuMicros(epp.pid) - before.epp),
  };
}

const cells: Cell[] = [];
for (const measurement of measurements) {
  const taken = new Map<string, Round[]>();
  const compared = waysFor(measurement);
  for (let count = 0; count < warmUps; count++) for (const way of compared) await round(measurement, way);
  for (let count = 0; count < rounds; count++) {
    for (const way of compared) {
      const measured = await round(measurement, way);
      taken.set(way.name, [...(taken.get(way.name) ?? []), measured]);
    }
  }
  for (const { name } of compared) {
    const cell = { measurement: measurement.name, way: name, rounds: taken.get(name)! };
    cells.push(cell);
    process.stderr.write(`${oneLine(cell)}\n`);
  }
}

function oneLine({ measurement, way, rounds: all }: Cell): string {
  const shown = (pick: (each: Round) => number | null): string =>
    all.map((each) => pick(each)?.toFixed(0) ?? '-').join(' ');
  const faults = all.reduce((sum, each) => sum + each.faults, 0);
  return `${measurement.padEnd(22)} ${way.padEnd(18)} EPP ${shown((each) => each.eppMicros)}  Envoy ${shown((each) => each.envoyMicros)}  p50 ${shown((each) => each.p50Micros)}  req/s ${shown((each) => each.requestsPerSecond)}  faults ${faults}`;
}

for (const { envoy, epp } of ways) {
  if (envoy !== null) await stop(envoy.child);
  if (epp !== null) await stop(epp.child);
}
const scraping = takesPart('scraping') ? await measureScraping(isQuick ? 20 : 40) : null;
if (scraping !== null) process.stderr.write(`${JSON.stringify(scraping)}\n`);
if (!isQuick) {
  const known: Figures | null = existsSync(resultsFile)
    ? (JSON.parse(readFileSync(resultsFile, 'utf8')) as Figures)
    : null;
  const kept = (known?.cells ?? []).filter(({ measurement }) => !measurements.some(({ name }) => name === measurement));
  const figures: Figures = {
    cells: [...kept, ...cells],
    scraping: scraping ?? known?.scraping ?? null,
    connections,
    envoyVersion,
  };
  writeFileSync(resultsFile, `${JSON.stringify(figures)}\n`);
  writeFileSync(join(root, 'bench/epp.md'), page(figures));
}
process.exit();

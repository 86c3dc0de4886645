/**
 * `npm run bench:epp`: what the endpoint picker costs behind a real Envoy, beside the same Envoy without it. Written to
 * bench/epp.md; `-- --quick` takes one short round and writes nothing. Needs two cores and python3 (for Envoy).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
const rounds = isQuick ? 1 : 3;
const warmUps = isQuick ? 1 : 2;
const connections = 64;

const completion = { path: '/v1/completions', bodyBytes: 200, groups: 1, sharedBytes: 20 } as const;
const chat8 = { path: '/v1/chat/completions', bodyBytes: 8 * 1024, groups: 32, sharedBytes: 2 * 1024 } as const;
const chat64 = { path: '/v1/chat/completions', bodyBytes: 64 * 1024, groups: 64, sharedBytes: 48 * 1024 } as const;
const chat220 = { path: '/v1/chat/completions', bodyBytes: 220 * 1024, groups: 64, sharedBytes: 160 * 1024 } as const;

interface Measurement {
  readonly name: string;
  readonly traffic: Traffic;
  readonly connections: number;
  /** In a round. */
  readonly requests: number;
}

const measurements: readonly Measurement[] = [
  { name: '200 B', traffic: { ...completion, stream: false }, connections, requests: 8000 },
  { name: '8 KB', traffic: { ...chat8, stream: false }, connections, requests: 6000 },
  { name: '64 KB', traffic: { ...chat64, stream: false }, connections, requests: 2500 },
  { name: '220 KB', traffic: { ...chat220, stream: false }, connections, requests: 1000 },
  { name: '200 B, stream', traffic: { ...completion, stream: true }, connections, requests: 2500 },
  { name: '8 KB, stream', traffic: { ...chat8, stream: true }, connections, requests: 2500 },
  { name: '64 KB, stream', traffic: { ...chat64, stream: true }, connections, requests: 1500 },
  { name: '8 KB, one connection', traffic: { ...chat8, stream: false }, connections: 1, requests: 2000 },
].filter(({ name }) => only === undefined || only.split(';').includes(name));

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
function waysFor({ traffic, connections: count }: Measurement): readonly Way[] {
  return ways.filter(({ name }) =>
    name === 'engine'
      ? count === 1
      : name === 'every stream read'
        ? traffic.stream
        : name !== 'over TLS' || !traffic.stream,
  );
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
if (only === undefined || only === 'scraping') {
  const scraping = await measureScraping(isQuick ? 20 : 60);
  process.stderr.write(`${JSON.stringify(scraping)}\n`);
  const figures: Figures = { cells, scraping, connections, envoyVersion };
  if (!isQuick) writeFileSync(join(root, 'bench/epp.md'), page(figures));
}
process.exit();

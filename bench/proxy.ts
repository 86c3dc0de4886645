/**
 * `npm run bench`: what the gateway costs beside proxies and routers that do the same or less, measured in one run on one
 * machine; written to bench/README.md. `npm run bench:quick` takes one short round and only prints; `-- --only=A,Bs`
 * measures those cells, `-- --ways=envoy,signalbox` those ways. Needs two cores, python3 and Debian's packages.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuMicros, stop } from './lib/processes.ts';
import { aloneCells, busyCells, corpusCells, pacedCell, pacedChunks, type Cell } from './proxy/cells.ts';
import { page, plot, type Round } from './proxy/page.ts';
import { startStubs } from './proxy/stubs.ts';
import { slowWays, ways, type Way } from './proxy/ways.ts';

function option(name: string): string[] | undefined {
  return process.argv
    .find((argument) => argument.startsWith(`--${name}=`))
    ?.slice(name.length + 3)
    .split(',');
}

const isQuick = process.argv.includes('--quick');
const only = option('only');
const wanted = option('ways') ?? Object.keys(ways).filter((name) => !isQuick || name !== 'vllm-router');
const rounds = Number(option('rounds')?.[0] ?? (isQuick ? 1 : 3));
const seconds = Number(option('seconds')?.[0] ?? (isQuick ? 0.6 : 1));

const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const { engines, load } = await startStubs();

const started: Way[] = [{ name: 'direct', port: engines[0]!, child: null }];
const leftOut: string[] = [];
for (const name of wanted) if (name in ways) await start(name, ways[name]!);

const results = new Map<string, Round[]>();

/** Where one of the others cannot be had the rest is measured without it, and the page says so. */
async function start(name: string, starting: (typeof ways)[string]): Promise<void> {
  try {
    started.push(await starting({ folder, engines }));
  } catch (error) {
    if (name === 'signalbox') throw error;
    const reason = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1) ?? '';
    leftOut.push(`${name} (${reason})`);
    process.stdout.write(`left out: ${leftOut.at(-1)}\n`);
  }
}

async function measure(cell: Cell, way: Way, lasting: number): Promise<Round> {
  const before = way.child === null ? 0 : cpuMicros(way.child.pid!);
  const result = await load({ port: way.port, traffic: cell.traffic, connections: cell.connections, seconds: lasting });
  const used = way.child === null ? 0 : cpuMicros(way.child.pid!) - before;
  return { ...result, cpuMicros: result.requests === 0 ? NaN : used / result.requests };
}

/** After each table, so that a run that is cut short leaves what it has. */
function write(): void {
  if (isQuick || only !== undefined) return;
  const names = [...new Set([...results.keys()].map((key) => key.slice(key.lastIndexOf(' ') + 1)))];
  writeFileSync(join(import.meta.dirname, 'README.md'), page(results, names, { rounds, seconds, leftOut }));
  const drawn = names.filter((name) => !(name in slowWays));
  const draw = (file: string, table: string, cells: readonly Cell[]): void => {
    const cellNames = cells.map(({ name }) => name);
    writeFileSync(join(import.meta.dirname, 'proxy', file), plot(results, drawn, table, cellNames));
  };
  draw('cpu.svg', 'busy', busyCells);
  draw('corpora.svg', 'corpus', corpusCells);
}

async function measureAll(table: string, cells: readonly Cell[], lasting: number): Promise<void> {
  for (const cell of cells) {
    if (only !== undefined && !only.includes(cell.name) && !only.includes(table)) continue;
    // A just-in-time compiler wants to see what it is to compile.
    for (const way of started) await measure(cell, way, way.name === 'signalbox' ? (isQuick ? 1.5 : 3) : 0.2);
    for (let round = 0; round < rounds; round++) {
      for (const way of round % 2 === 0 ? started : started.toReversed()) {
        const key = `${table} ${cell.name} ${way.name}`;
        results.set(key, [...(results.get(key) ?? []), await measure(cell, way, lasting)]);
      }
    }
    const shown = started.map(({ name }) => {
      const all = results.get(`${table} ${cell.name} ${name}`)!;
      const per = table === 'paced' ? pacedChunks : 1;
      const cpu = all.map((each) => (each.cpuMicros / per).toFixed(0)).join(' ');
      const p50 = all.map((each) => Number(each.p50Micros).toFixed(0)).join(' ');
      const rate = all.map((each) => (each.requests / each.seconds / 1000).toFixed(1)).join(' ');
      const faults = all.reduce((sum, each) => sum + each.faults, 0);
      return `  ${name.padEnd(14)} CPU ${cpu.padEnd(16)} p50 ${p50.padEnd(18)} k/s ${rate}${faults > 0 ? ` FAULTS ${faults}` : ''}`;
    });
    process.stdout.write(`${table} ${cell.name}\n${shown.join('\n')}\n`);
  }
  write();
}

for (const way of started) if (way.name === 'signalbox') await measure(busyCells[1]!, way, isQuick ? 2 : 12);
await measureAll('busy', busyCells, seconds);
await measureAll('alone', aloneCells, seconds * 0.6);
await measureAll('paced', [pacedCell], Math.max(2.2, seconds));
await measureAll('corpus', corpusCells, seconds);
for (const { child } of started.splice(0)) if (child !== null) await stop(child);
if (!isQuick) {
  for (const [name, starting] of Object.entries(slowWays))
    if (option('ways')?.includes(name) ?? true) await start(name, starting);
  // With more connections its first answer would come after seconds.
  const chats = busyCells.filter(({ name }) => !name.startsWith('A')).map((cell) => ({ ...cell, connections: 4 }));
  if (started.length > 0) await measureAll('busy', chats, Math.max(4, seconds));
  for (const { child } of started) if (child !== null) await stop(child);
}
process.exit();

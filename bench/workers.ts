/**
 * What a request costs with several workers beside one: `npm run bench:workers`. By CPU time of the gateway's process,
 * in alternating rounds, since on a small machine load and engines take cores that the workers would need: were there a
 * core for each, `n` workers would serve `n × one's CPU a request / theirs` times as much as one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './lib/median.ts';
import { cpuMicros, stop } from './lib/processes.ts';
import { busyCells } from './proxy/cells.ts';
import { startStubs } from './proxy/stubs.ts';
import { startSignalbox, type Way } from './proxy/ways.ts';

const counts = [1, 2, 8];
const cells = ['A', 'As', 'B', 'C'];
const rounds = 5;
const seconds = 1;

const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const { engines, load } = await startStubs();

const ways: Way[] = [];
for (const count of counts) {
  ways.push(await startSignalbox(`workers-${count}`, ['--workers', `${count}`], { engines, folder }));
}

console.log(`${availableParallelism()} cores; the gateway has one of them, load and engines the other`);
console.log('cell  workers  CPU µs a request (rounds)            times one worker, with a core for each  faults');
for (const { name, traffic, connections } of busyCells.filter((cell) => cells.includes(cell.name))) {
  const cpu = ways.map((): number[] => []);
  const faults = ways.map(() => 0);
  // The first round is for the just-in-time compiler.
  for (let round = -1; round < rounds; round++) {
    for (const [at, way] of ways.entries()) {
      const before = cpuMicros(way.child!.pid!);
      const result = await load({ port: way.port, traffic, connections, seconds: round < 0 ? 2 : seconds });
      faults[at]! += result.faults;
      if (round >= 0) cpu[at]!.push((cpuMicros(way.child!.pid!) - before) / result.requests);
    }
  }
  for (const [at, count] of counts.entries()) {
    const each = cpu[at]!.map((micros) => micros.toFixed(0)).join(' ');
    const times = (count * median(cpu[0]!)) / median(cpu[at]!);
    console.log(
      `${name.padEnd(6)}${String(count).padEnd(9)}${median(cpu[at]!).toFixed(0).padStart(5)} (${each})`.padEnd(53),
      `${times.toFixed(2).padEnd(39)}${faults[at]}`,
    );
  }
}
for (const { child } of ways) await stop(child!);
process.exit();

/**
 * What seeing why costs: CPU of the gateway's process for each request with nothing of it (no shadow, no page open, the
 * smallest journal) and with it, on one machine: `npm run bench:see-why [-- PROCESSES ROUNDS REQUESTS ENDPOINTS]`.
 *
 * Rounds of a fixed number of requests go to the gateways in turn, in an order drawn anew each time and never twice to
 * the same, so that what changes on the machine and what is still in its caches meets all of them alike; each few rounds
 * all gateways are started anew. Prints a table in Markdown.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeasuredGateway } from './see-why/measured-gateway.ts';
import { openPage } from './see-why/page.ts';
import { Child } from './see-why/process.ts';
import { costOf, intervalOf, type Pair } from './see-why/ratio.ts';
import { markdownTable } from './routing-statistics.ts';

const given = process.argv.slice(2).map(Number);
const [processes = 5, rounds = 10, requests = 200, endpointCount = 8] = given;
const chunks = 32;
const warmUp = 400;
const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
const seen = { shadows: ['llm-d-legacy'] };

const engines = new Child('engine.ts', String(endpointCount), String(chunks));
const endpoints = JSON.parse(await engines.line()) as string[];
const kinds = [
  { name: 'off', options: { journalBytes: 1 }, isSeen: false },
  { name: 'journal, page and shadow', options: seen, isSeen: true },
  { name: 'the same, and the journal in files', options: { ...seen, journalFolder: folder }, isSeen: true },
];
/** Microseconds of CPU for each request: by kind, then by process and round. */
const costs = kinds.map((): number[][] => []);
for (let started = 0; started < processes; started++) {
  const gateways: MeasuredGateway[] = [];
  const closing: (() => void)[] = [];
  for (const { options, isSeen } of kinds) {
    const gateway = await MeasuredGateway.start({ endpoints, ...options });
    gateways.push(gateway);
    await gateway.round(warmUp);
    if (isSeen) closing.push(openPage(gateway.adminUrl));
  }
  for (const each of costs) each.push([]);
  let last = -1;
  for (let round = 0; round < rounds; round++) {
    let order = shuffled([...kinds.keys()]);
    while (order[0] === last) order = shuffled(order);
    last = order.at(-1)!;
    for (const kind of order) costs[kind]!.at(-1)!.push((await gateways[kind]!.round(requests)) / requests);
  }
  for (const close of closing) close();
  for (const gateway of gateways) gateway.close();
}

const rows = kinds.map(({ name }, kind) => {
  const pairs = costs[kind]!.map((all, at) => all.map((on, round): Pair => ({ on, off: costs[0]![at]![round]! })));
  const all = costs[kind]!.flat();
  const mean = all.reduce((sum, us) => sum + us, 0) / all.length;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const [low, high] = intervalOf(pairs);
  const more = kind === 0 ? ['', ''] : [percent(costOf(pairs.flat())), `${percent(low)} to ${percent(high)}`];
  return [name, `${mean.toFixed(0)} µs`, ...more];
});
const what = `${endpointCount} endpoints, ${chunks} events an answer; ${processes} processes each, ${rounds} rounds of ${requests} requests`;
process.stdout.write(`${what}\n\n`);
process.stdout.write(markdownTable(['', 'CPU a request', 'more than off', '95 % interval'], rows));
engines.end();
rmSync(folder, { recursive: true, force: true });
process.exit();

function shuffled(items: readonly number[]): number[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

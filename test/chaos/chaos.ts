import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { freePort, repository } from '../support/command.ts';
import { ask, type Answer, type Question } from './client.ts';
import { SmallDisk } from './disk.ts';
import { Faults } from './faults.ts';
import { answers, Command, EngineProcess } from './process.ts';
import { Tap } from './tap.ts';

export interface ChaosReport {
  readonly seed: number;
  readonly minutes: number;
  readonly requests: number;
  readonly whole: number;
  readonly left: number;
  /** Requests that reached more than one endpoint. */
  readonly triedAgain: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly diskCouldFill: boolean;
  readonly slowestSeconds: number;
  readonly residentMiB: { readonly early: number; readonly end: number };
  readonly openFiles: { readonly early: number; readonly end: number };
  /** What does not add up; empty when the books are balanced. */
  readonly mistakes: readonly string[];
}

const engineCount = 4;
const clients = 16;
const prompts = 12;
/** Longer than any one fault with all that follows from it. */
const clientLimitMs = 60_000;
const mostMistakes = 20;
/** Less than its disk has: the journal makes room for itself. */
const journalBytes = 2 * 1024 * 1024;
/** Until then what is bounded may still be filling. */
const warmUpMs = 10 * 60_000;
const mib = 1024 * 1024;
const policies = ['least-added-wait', 'least-requests', 'llm-d-token-aware'];

/** Real processes under load while things go wrong at random, and books that must balance. */
export async function chaos(seed: number, minutes: number, say: (line: string) => void): Promise<ChaosReport> {
  const random = seededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-chaos-'));
  const disk = new SmallDisk(join(folder, 'disk'));
  const engines: EngineProcess[] = [];
  const taps: Tap[] = [];
  let gateway: Command | null = null;
  try {
    for (let i = 0; i < engineCount; i++) engines.push(await EngineProcess.create(join(folder, `engine-${i}.log`)));
    for (const { port } of engines) taps.push(await Tap.before(port));
    const oracle = await EngineProcess.create(join(folder, 'oracle.log'), 50);
    engines.push(oracle);
    const expected = await expectations(random, oracle.url);

    const policyFile = join(folder, 'policy.yaml');
    const clockFile = join(folder, 'clock');
    const presets = policies.map((name) => readFileSync(join(repository, `assets/policies/${name}.yaml`), 'utf8'));
    writeFileSync(policyFile, presets[0]!);
    writeFileSync(clockFile, '0');
    mkdirSync(join(disk.folder, 'journal'));
    const eppLog = join(disk.folder, 'epp.log');
    const [port, adminPort] = [await freePort(), await freePort()];
    gateway = new Command(
      ['gateway', '--port', `${port}`, '--admin-port', `${adminPort}`, '--config-file', policyFile]
        .concat(['--epp-log', eppLog, '--journal', join(disk.folder, 'journal')])
        .concat(['--journal-max-bytes', `${journalBytes}`])
        .concat(taps.flatMap(({ url }) => ['--endpoint', url])),
      join(folder, 'gateway.log'),
      { NODE_OPTIONS: `--import ${repository}/test/chaos/clock.mjs`, SIGNALBOX_CHAOS_CLOCK: clockFile },
    );
    gateway.start();
    const url = `http://127.0.0.1:${port}`;
    await answers(`${url}/readyz`);
    await ready(`http://127.0.0.1:${adminPort}`);

    const places = taps.map((tap, index) => ({ engine: engines[index]!, tap }));
    const faults = new Faults(random, places, {
      ...{ policyFile, policies: presets, clockFile },
      fillDisk(full) {
        disk.fill(full);
        // The log has no bound of its own: it is emptied, as whoever looks after logs would.
        if (!full && existsSync(eppLog)) truncateSync(eppLog);
      },
    });
    const books = new Books();
    const endMs = performance.now() + minutes * 60_000;
    const upset = faults.run();
    const load = Array.from({ length: clients }, (_, index) =>
      drive(url, seededRandom(seed + 1 + index), expected, books, endMs),
    );
    await settled(Math.min(warmUpMs, (endMs - performance.now()) / 3));
    const early = { resident: gateway.residentBytes, files: gateway.openFiles };
    while (performance.now() < endMs) {
      await settled(Math.min(30_000, Math.max(0, endMs - performance.now())));
      say(
        `${books.requests} requests, ${books.mistakes.length} mistakes, ${Math.round(gateway.residentBytes / mib)} MiB`,
      );
    }
    faults.stop();
    await Promise.all([upset, ...load]);
    await closeBooks(books, gateway, engines, `http://127.0.0.1:${adminPort}`);
    await journalGoesOn(books, `http://127.0.0.1:${adminPort}`, () => ask(url, expected[0]![0], clientLimitMs));
    const end = { resident: gateway.residentBytes, files: gateway.openFiles };
    if (end.resident > early.resident * 1.5 + 64 * mib) books.mistake('memory has grown');
    if (end.files > early.files + 64) books.mistake('open files have grown');
    const triedAgain = new Map<string, number>();
    for (const { attempts } of taps) {
      for (const [id, count] of attempts) triedAgain.set(id, (triedAgain.get(id) ?? 0) + count);
    }
    if (triedAgain.size < books.whole) books.mistake(`${books.whole} answers of ${triedAgain.size} requests`);
    return {
      ...{ seed, minutes, requests: books.requests, whole: books.whole, left: books.left },
      triedAgain: [...triedAgain.values()].filter((count) => count > 1).length,
      faults: Object.fromEntries([...faults.counts].sort()),
      diskCouldFill: disk.canFill,
      slowestSeconds: Math.round(books.slowestMs / 100) / 10,
      residentMiB: { early: Math.round(early.resident / mib), end: Math.round(end.resident / mib) },
      openFiles: { early: early.files, end: end.files },
      mistakes: books.mistakes,
    };
  } finally {
    await gateway?.kill();
    for (const tap of taps) tap.close();
    for (const engine of engines) await engine.kill();
    disk.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const settled = (milliseconds: number): Promise<void> => new Promise((next) => setTimeout(next, milliseconds));

/** Every question that may be asked, with what an engine answers that nothing happens to. */
async function expectations(random: Random, url: string): Promise<readonly (readonly [Question, Answer])[]> {
  const all: (readonly [Question, Answer])[] = [];
  for (let i = 0; i < prompts; i++) {
    const text = `Question ${i}, ${random.below(1e9)}: which way does the train go from here? `.repeat(
      1 + random.below(8),
    );
    for (const kind of ['completions', 'chat'] as const) {
      for (const stream of [true, true, false]) {
        const question = { kind, stream, text, maxTokens: 20 + random.below(180) };
        const answer = await ask(url, question, clientLimitMs);
        if (answer.end !== 'whole') throw new Error(`an engine that nothing happens to failed: ${answer.error}`);
        all.push([question, answer]);
      }
    }
  }
  return all;
}

/** One client: asks one question after another. Some leave before the end. */
async function drive(
  url: string,
  random: Random,
  expected: readonly (readonly [Question, Answer])[],
  books: Books,
  endMs: number,
): Promise<void> {
  while (performance.now() < endMs) {
    const [question, answer] = expected[random.below(expected.length)]!;
    const leavesAfterMs = random.below(20) === 0 ? random.below(1500) : Infinity;
    books.ended(question, answer, await ask(url, question, clientLimitMs, leavesAfterMs));
    await settled(random.below(100));
  }
}

/** What the clients got, against what they should have. */
class Books {
  requests = 0;
  whole = 0;
  left = 0;
  slowestMs = 0;
  readonly mistakes: string[] = [];

  mistake(what: string): void {
    if (this.mistakes.length < mostMistakes) this.mistakes.push(what);
  }

  ended(question: Question, expected: Answer, got: Answer): void {
    this.requests += 1;
    if (got.end === 'left') {
      this.left += 1;
      if (!expected.text.startsWith(got.text)) this.mistake(`${nameOf(question)}: what it had was wrong`);
      return;
    }
    this.slowestMs = Math.max(this.slowestMs, got.milliseconds);
    if (got.end === 'failed') return this.mistake(`${nameOf(question)}: ${got.error}`);
    this.whole += 1;
    for (const part of ['text', 'finishReason', 'promptTokens', 'completionTokens'] as const) {
      if (got[part] === expected[part]) continue;
      this.mistake(
        `${nameOf(question)}: ${part} is ${JSON.stringify(got[part])}, not ${JSON.stringify(expected[part])}`,
      );
    }
  }
}

function nameOf({ kind, stream, maxTokens }: Question): string {
  return `${kind} of ${maxTokens} tokens${stream ? ', streamed' : ''}`;
}

interface EndpointJson {
  readonly name: string;
  readonly ready: boolean;
  readonly waiting: number | null;
  readonly inFlight: number;
  readonly queuedPrefillTokens: number;
}

async function endpointsOf(adminUrl: string): Promise<readonly EndpointJson[]> {
  return (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as EndpointJson[];
}

/** Waits until every endpoint is in use and known for the engine it is. */
async function ready(adminUrl: string): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await endpointsOf(adminUrl)).every((each) => each.ready && each.waiting !== null)) {
    if (performance.now() > end) throw new Error('not every endpoint became ready');
    await settled(50);
  }
}

/** Once its disk has room again, what comes is written down. */
async function journalGoesOn(books: Books, adminUrl: string, request: () => Promise<Answer>): Promise<void> {
  const lines = async (): Promise<number> => {
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    return Number(/^signalbox_journal_file_lines_total (\d+)$/m.exec(metrics)?.[1]);
  };
  const before = await lines();
  await request();
  await settled(2000);
  if (!((await lines()) > before)) books.mistake('the journal is written no more, although its disk has room');
}

/** Nothing may be left anywhere once everybody has gone. */
async function closeBooks(
  books: Books,
  gateway: Command,
  engines: readonly EngineProcess[],
  adminUrl: string,
): Promise<void> {
  if (gateway.ended) return books.mistake('the gateway has ended');
  // Connections that are kept alive close on their own.
  await settled(8000);
  for (const { name, ready: isReady, inFlight, queuedPrefillTokens } of await endpointsOf(adminUrl)) {
    if (inFlight !== 0 || queuedPrefillTokens !== 0) {
      books.mistake(`${name}: ${inFlight} in flight, ${queuedPrefillTokens} tokens queued, after the end`);
    }
    if (!isReady) books.mistake(`${name} is not in use although nothing is wrong with it`);
  }
  for (const engine of engines) {
    const load = await engine.load();
    if (load !== 0) books.mistake(`the engine on port ${engine.port} still has ${load} requests`);
  }
}

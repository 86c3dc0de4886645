/** `npm run bench:reliability`: what clients see of each fault, on real processes. Prints the table of docs/reliability.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, type Answer, type Question } from '../test/chaos/client.ts';
import { answers, Command, EngineProcess } from '../test/chaos/process.ts';
import { freePort } from '../test/support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'signalbox-reliability-'));
const question: Question = { kind: 'completions', stream: true, text: 'Which way does the train go?', maxTokens: 50 };
const pause = (milliseconds: number): Promise<void> => new Promise((next) => setTimeout(next, milliseconds));
const engines = await Promise.all(
  [0, 1, 2, 3].map((index) => EngineProcess.create(join(folder, `engine-${index}.log`))),
);
const [port, adminPort] = [await freePort(), await freePort()];
const gateway = new Command(
  ['gateway', '--port', `${port}`, '--admin-port', `${adminPort}`].concat(
    engines.flatMap(({ url }) => ['--endpoint', url]),
  ),
  join(folder, 'gateway.log'),
);
const url = `http://127.0.0.1:${port}`;

interface Endpoint {
  readonly ready: boolean;
  readonly inFlight: number;
}

async function endpoints(): Promise<readonly Endpoint[]> {
  return (await (await fetch(`http://127.0.0.1:${adminPort}/api/endpoints`)).json()) as Endpoint[];
}

async function allReady(): Promise<void> {
  while (!(await endpoints()).every(({ ready }) => ready)) await pause(20);
}

/** So many clients, one request after another, while `fault` happens. */
async function underLoad(
  clients: number,
  seconds: number,
  limitMs: number,
  fault: () => Promise<void>,
): Promise<string> {
  const endMs = performance.now() + seconds * 1000;
  const got: Answer[] = [];
  const client = async (): Promise<void> => {
    while (performance.now() < endMs) got.push(await ask(url, question, limitMs));
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  await pause(1500);
  await fault();
  await all;
  const failed = got.filter(({ end }) => end !== 'whole');
  const texts = new Set(got.filter(({ end }) => end === 'whole').map(({ text }) => text));
  const slowest = Math.max(...got.map(({ milliseconds }) => milliseconds)) / 1000;
  const reasons = [...new Set(failed.map(({ error }) => error))].slice(0, 3).join('; ');
  const texted = texts.size === 1 ? 'all texts the same' : `${texts.size} different texts`;
  return `${failed.length} of ${got.length} failed${reasons === '' ? '' : ` (${reasons})`}, ${texted}, slowest ${slowest.toFixed(1)} s`;
}

/** Milliseconds until `condition` holds. */
async function until(condition: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > 60_000) throw new Error(`never came: ${condition.toString()}`);
    await pause(5);
  }
  return Math.round(performance.now() - began);
}

/** A prompt that takes an engine seconds, and is another one each time, so that no cache makes it short. */
const longText = (which: number | string): string => `${which}: ${'Which way does the train go? '.repeat(10_000)}`;

/** From the client's leaving until no engine has its request, before its first byte or in mid-answer. */
async function leaving(stream: boolean, isBeforeFirstByte: boolean): Promise<string> {
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const text = isBeforeFirstByte ? longText(`${stream} ${round}`) : question.text;
    const { text: got } = await ask(url, { ...question, stream, text, maxTokens: 2000 }, 60_000, 300);
    if (stream && (got === '') !== isBeforeFirstByte) throw new Error('it was not where it should have left');
    took.push(
      await until(async () => (await Promise.all(engines.map((each) => each.load()))).every((load) => load === 0)),
    );
  }
  return `${Math.max(...took)} ms at most, asking included`;
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, 'm').exec(text)?.[1] ?? NaN);
}

/** The same of requests that wait in the gateway, because prompts of others keep every engine busy. */
async function leavingQueue(stream: boolean): Promise<string> {
  const long = (which: number): Question => ({ ...question, text: longText(`queue ${stream} ${which}`), maxTokens: 1 });
  const busy = Promise.all(Array.from({ length: 24 }, (_, which) => ask(url, long(which), 60_000, 8000)));
  await until(async () => (await metric('llm_d_epp_flow_control_queue_size')) > 0);
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const before = await metric('signalbox_held_left_total');
    await ask(url, { ...question, stream }, 60_000, 300);
    took.push(await until(async () => (await metric('signalbox_held_left_total')) > before));
  }
  await busy;
  return `${Math.max(...took)} ms at most, asking included`;
}

/** Sends a body of 100 MB, with its length said before or not, and gives what came of it. */
async function largeBody(saysLength: boolean): Promise<string> {
  const before = gateway.residentBytes;
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, gateway.residentBytes)), 5);
  const size = 100 * 1024 * 1024;
  const headers = { 'content-type': 'application/json', ...(saysLength ? { 'content-length': size } : {}) };
  const status = await new Promise<string>((done) => {
    const request = httpRequest(`${url}/v1/completions`, { method: 'POST', agent: false, headers }, (response) => {
      done(String(response.statusCode));
      response.resume();
      request.destroy();
    });
    request.on('error', (error) => done(error.message));
    const piece = Buffer.alloc(1024 * 1024, ' ');
    let sent = 0;
    const send = (): void => {
      while (sent < size && !request.destroyed) {
        sent += piece.length;
        if (!request.write(piece)) return void request.once('drain', send);
      }
      request.end();
    };
    send();
  });
  await pause(200);
  clearInterval(watch);
  return `${status}, ${Math.round((most - before) / 2 ** 20)} MiB more at most`;
}

const rows: [string, string][] = [];
const row = (what: string, seen: string): void => {
  rows.push([what, seen]);
  console.error(`${what}: ${seen}`);
};

try {
  gateway.start();
  await answers(`${url}/readyz`);
  await allReady();
  await ask(url, question, 10_000);
  row('`kill -9` of 1 of 4 engines under 64 streams', await underLoad(64, 6, 20_000, async () => engines[0]!.kill()));
  engines[0]!.start();
  await answers(`${engines[0]!.url}/health`);
  row(
    'a restarted engine is in use again after',
    `${await until(async () => (await endpoints()).every(({ ready }) => ready))} ms`,
  );
  row(
    '`SIGSTOP` of 1 of 4 for 8 s, clients with a limit of 5 s, 16 streams',
    await underLoad(16, 10, 5000, async () => {
      engines[1]!.signal('SIGSTOP');
      await pause(8000);
      engines[1]!.signal('SIGCONT');
    }),
  );
  await allReady();
  for (const status of [500, 503]) {
    row(
      `1 of 4 answers only ${status}, 16 streams`,
      await underLoad(16, 6, 20_000, () => engines[2]!.fail({ status })),
    );
    await engines[2]!.fail({});
    await allReady();
  }
  for (const stream of [true, false]) {
    const kind = stream ? 'a stream' : 'a whole answer';
    row(`the client of ${kind} leaves before its first token: engines are free after`, await leaving(stream, true));
    row(`the client of ${kind} leaves in mid-answer: engines are free after`, await leaving(stream, false));
    row(
      `the client of ${kind} leaves while it waits in the gateway: it is off the queue after`,
      await leavingQueue(stream),
    );
  }
  row('a body of 100 MB that says its length', await largeBody(true));
  row('a body of 100 MB that does not', await largeBody(false));
  await Promise.all(engines.map((engine) => engine.kill()));
  await ask(url, question, 5000);
  const down = await ask(url, question, 5000);
  row('all down', `${down.error.slice(0, 3)} after ${Math.round(down.milliseconds)} ms`);
  engines[3]!.start();
  await answers(`${engines[3]!.url}/health`);
  row(
    'one is back: first success after',
    `${await until(async () => (await ask(url, { ...question, maxTokens: 1 }, 5000)).end === 'whole')} ms`,
  );
  console.log(
    ['| Fault | What clients see |', '|---|---|', ...rows.map(([what, seen]) => `| ${what} | ${seen} |`)].join('\n'),
  );
} finally {
  await gateway.kill();
  await Promise.all(engines.map((engine) => engine.kill()));
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

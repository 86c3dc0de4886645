/**
 * What seeing why costs: CPU of the gateway's process for each request with nothing of it (no shadow, no page open, the
 * smallest journal) and with all of it, alternating on one machine: `npm run bench:see-why [-- ROUNDS REQUESTS]`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GatewayOptions } from '../src/gateway/gateway.ts';

const rounds = Number(process.argv[2] ?? 12);
const requestsPerRound = Number(process.argv[3] ?? 1500);
const engines = 8;
const chunks = 32;
const users = 16;
const sessions = 40;
/** As the console asks. */
const polls = ['/api/endpoints', '/api/series?after=', '/api/admission', '/api/shadow'];

interface Child {
  readonly answer: string;
  end(): void;
}

async function start(script: string, argument: string): Promise<Child> {
  const path = join(import.meta.dirname, 'see-why', script);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  return { answer: data.toString(), end: () => child.stdin.end() };
}

class Gateway {
  readonly name: string;
  readonly perRequestUs: number[] = [];
  readonly #child: Child;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #port: number;
  readonly adminUrl: string;

  private constructor(name: string, child: Child) {
    this.name = name;
    this.#child = child;
    const { port, adminPort } = JSON.parse(child.answer) as { port: number; adminPort: number };
    this.#port = port;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
  }

  static async start(name: string, options: Partial<GatewayOptions>): Promise<Gateway> {
    const gateway = new Gateway(name, await start('gateway.ts', JSON.stringify(options)));
    const ready = async (): Promise<boolean> => {
      const listed = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { ready: boolean }[];
      return listed.length === engines && listed.every((endpoint) => endpoint.ready);
    };
    while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 20));
    return gateway;
  }

  async cpuSeconds(): Promise<number> {
    const text = await (await fetch(`${this.adminUrl}/metrics`)).text();
    return Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)![1]);
  }

  async round(): Promise<void> {
    const before = await this.cpuSeconds();
    let left = requestsPerRound;
    const user = async (): Promise<void> => {
      while (left-- > 0) await this.#ask();
    };
    await Promise.all(Array.from({ length: users }, user));
    this.perRequestUs.push((1e6 * ((await this.cpuSeconds()) - before)) / requestsPerRound);
  }

  close(): void {
    this.#agent.destroy();
    this.#child.end();
  }

  #ask(): Promise<void> {
    const session = Math.floor(Math.random() * sessions);
    const content = `You are helper number ${session}. `.repeat(120) + `Question ${Math.random()}`;
    const body = JSON.stringify({
      model: 'bench',
      stream: true,
      max_tokens: chunks,
      messages: [{ role: 'user', content }],
    });
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const path = '/v1/chat/completions';
      httpRequest({ port: this.#port, host: '127.0.0.1', path, method: 'POST', agent: this.#agent, headers })
        .on('response', (response) => {
          if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
          response.resume().on('end', () => resolve());
        })
        .on('error', reject)
        .end(body);
    });
  }
}

/** A page that is open: it listens, and asks once a second. */
function openPage(adminUrl: string): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const ignore = (): undefined => undefined;
  fetch(`${adminUrl}/api/events`, { signal })
    .then(async ({ body }) => {
      for await (const part of body!) void part;
    })
    .catch(ignore);
  const timer = setInterval(() => {
    for (const path of polls) {
      const url = adminUrl + path + (path.endsWith('=') ? Date.now() - 1500 : '');
      fetch(url, { signal })
        .then((response) => response.arrayBuffer())
        .catch(ignore);
    }
  }, 1000);
  return () => {
    clearInterval(timer);
    abort.abort();
  };
}

const started = await Promise.all(Array.from({ length: engines }, () => start('engine.ts', `${chunks}`)));
const endpoints = started.map(({ answer }) => `http://127.0.0.1:${answer.trim()}`);
const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
const shadows = ['llm-d-legacy'];
const off = await Gateway.start('off', { endpoints, journalBytes: 1 });
const on = await Gateway.start('journal, page and shadow', { endpoints, shadows });
const filed = await Gateway.start('and the journal in files', { endpoints, shadows, journalFolder: folder });
const gateways = [off, on, filed];

for (const gateway of gateways) await gateway.round();
for (const gateway of gateways) gateway.perRequestUs.length = 0;
for (let round = 0; round < rounds; round++) {
  for (const gateway of round % 2 === 0 ? gateways : gateways.toReversed()) {
    const close = gateway === off ? (): void => undefined : openPage(gateway.adminUrl);
    await gateway.round();
    close();
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
process.stdout.write(
  `${engines} engines, ${chunks} events an answer, ${users} users; CPU of the gateway per request\n`,
);
for (const { name, perRequestUs } of gateways) {
  const more = perRequestUs.map((us, round) => us / off.perRequestUs[round]! - 1);
  const [low, high] = [Math.min(...perRequestUs), Math.max(...perRequestUs)].map((us) => us.toFixed(0));
  const compared = name === 'off' ? '' : `  ${(100 * median(more)).toFixed(1)} % more than off (median of rounds)`;
  process.stdout.write(`${name.padEnd(26)} ${median(perRequestUs).toFixed(0)} us (${low} to ${high})${compared}\n`);
}
for (const gateway of gateways) gateway.close();
for (const engine of started) engine.end();
rmSync(folder, { recursive: true, force: true });
process.exit();

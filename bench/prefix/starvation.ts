import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { join } from 'node:path';

const seconds = 6;
const everyMs = 5;
const rates = [0, 200_000];
/** Linux's clock ticks a second. */
const ticksPerSecond = 100;

/** How long requests take through a gateway on one core while an engine's events pour in, beside the same without any. */
export async function starvationBench(say: (line: string) => void): Promise<void> {
  say('\nrequests through a gateway while KV events pour in (8 blocks an event)');
  const engine = await start(join(import.meta.dirname, 'engine.ts'));
  const options = JSON.stringify({ endpoints: [`http://127.0.0.1:${engine.firstLine}`] });
  const gateway = await start(join(import.meta.dirname, '..', 'see-why', 'gateway.ts'), options);
  const { port, adminPort } = JSON.parse(gateway.firstLine) as { port: number; adminPort: number };
  const stored = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/api/prefixes`);
    const { endpoints } = (await answer.json()) as { endpoints: { kvEvents: { stored: number } | null }[] };
    return endpoints[0]?.kvEvents?.stored ?? -1;
  };
  const agent = new Agent({ keepAlive: true });
  try {
    engine.child.stdin.write('1000\n');
    while ((await stored()) <= 0) await pause(50);
    for (let count = 0; count < 300; count++) await ask(port, agent, count);
    // Twice each, in turn: what the machine does meanwhile falls on both.
    for (const rate of [...rates, ...rates]) {
      engine.child.stdin.write(`${rate}\n`);
      await pause(500);
      const [blocks, cpu, startMs] = [await stored(), cpuSeconds(gateway.child.pid!), performance.now()];
      const took: number[] = [];
      while (performance.now() - startMs < seconds * 1000) {
        took.push(await ask(port, agent, took.length));
        await pause(everyMs);
      }
      const passed = (performance.now() - startMs) / 1000;
      const perSecond = ((await stored()) - blocks) / passed;
      const share = (cpuSeconds(gateway.child.pid!) - cpu) / passed;
      took.sort((a, b) => a - b);
      const at = (q: number): string => took[Math.floor(q * (took.length - 1))]!.toFixed(1);
      say(
        `${Math.round(perSecond).toLocaleString('en').padStart(8)} blocks/s taken in: ${took.length} requests, ms ` +
          `p50 ${at(0.5)}  p99 ${at(0.99)}  most ${at(1)}; the gateway's share of a core ${(100 * share).toFixed(0)} %`,
      );
    }
  } finally {
    agent.destroy();
    engine.child.stdin.end();
    gateway.child.stdin.end();
  }
}

async function start(
  script: string,
  ...args: string[]
): Promise<{ child: ChildProcessWithoutNullStreams; firstLine: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args]);
  child.stderr.pipe(process.stderr);
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, firstLine: data.toString().trim() };
}

/** Milliseconds until the whole answer is there. */
function ask(port: number, agent: Agent, which: number): Promise<number> {
  const body = JSON.stringify({ model: 'bench', prompt: `Request ${which} asks. `.repeat(20), max_tokens: 1 });
  const startMs = performance.now();
  return new Promise((done, failed) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = httpRequest({ port, path: '/v1/completions', method: 'POST', agent, headers }, (response) => {
      response.resume().on('end', () => done(performance.now() - startMs));
    });
    request.on('error', failed);
    request.end(body);
  });
}

function cpuSeconds(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / ticksPerSecond;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

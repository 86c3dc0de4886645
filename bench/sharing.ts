/**
 * What sharing costs in CPU a request: `npm run bench:sharing`. Three replicas, a thousand requests a second in all, each with
 * 8 KB of prompt of which a sixteenth is new; rounds with and without sharing in turn. First in one process on the virtual
 * clock, without anything between the replicas; then as processes of their own with a real Redis between them.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { median } from './lib/median.ts';
import { freePort } from './lib/processes.ts';
import { inOneProcess, perSecond, replicas } from './lib/sharing-load.ts';

const [requests, rounds] = [20_000, 5];
const [realRounds, realSeconds] = [3, 6];
const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Said {
  readonly microseconds: number;
  readonly requests: number;
  readonly peers: number;
  readonly lagMs: number;
  readonly batches: number;
}

/** The same with processes of their own. */
async function asProcesses(url: string | null): Promise<number> {
  const module = join(import.meta.dirname, 'lib/sharing-replica.ts');
  const execArgv = ['--disable-warning=ExperimentalWarning'];
  const said = await Promise.all(
    Array.from({ length: replicas }, async (_, rank) => {
      const facts = [rank, realSeconds].map(String);
      const child = fork(module, [...facts, ...(url === null ? [] : [url])], { execArgv });
      const [answer] = (await once(child, 'message')) as [Said];
      return answer;
    }),
  );
  if (url !== null && said.some(({ peers }) => peers !== replicas - 1))
    throw new Error('they have not found each other');
  const sum = (what: 'microseconds' | 'requests' | 'batches'): number =>
    said.reduce((total, each) => total + each[what], 0);
  return sum('microseconds') / sum('requests');
}

/** Microseconds of CPU that a process has taken, to a hundredth of a second. */
function cpuOf(pid: number): number {
  const [user = 0, system = 0] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .split(') ')[1]!
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * 10_000;
}

async function startRedis() {
  const port = await freePort();
  const child = spawn('redis-server', ['--port', String(port), '--save', '', '--daemonize', 'no'], { stdio: 'ignore' });
  const reached = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve((socket.destroy(), true)));
      socket.on('error', () => resolve(false));
    });
  while (!(await reached())) await new Promise((resolve) => setTimeout(resolve, 50));
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid!, end: () => child.kill() };
}

inOneProcess({ shares: true, requests });
inOneProcess({ shares: false, requests });
const costs: number[] = [];
for (let round = 0; round < rounds; round++) {
  const [alone, shared] = [false, true].map((shares) => inOneProcess({ shares, requests })) as [number, number];
  costs.push(shared - alone);
  say(`in one process: alone ${alone.toFixed(1)} µs, sharing ${shared.toFixed(1)} µs a request`);
}
const redis = await startRedis();
const real: number[] = [];
const redisCosts: number[] = [];
try {
  for (let round = 0; round < realRounds; round++) {
    const alone = await asProcesses(null);
    const before = cpuOf(redis.pid);
    const shared = await asProcesses(redis.url);
    redisCosts.push((cpuOf(redis.pid) - before) / (perSecond * (realSeconds + 3)));
    real.push(shared - alone);
    say(
      `with Redis: alone ${alone.toFixed(1)} µs, sharing ${shared.toFixed(1)} µs a request, Redis itself ${redisCosts.at(-1)!.toFixed(1)} µs`,
    );
  }
} finally {
  redis.end();
}
const each = (values: readonly number[]): string =>
  `${median(values).toFixed(1)} µs of CPU a request, ${(median(values) / replicas).toFixed(1)} µs of each replica`;
say(`sharing costs ${each(costs)}, without what is between them (median of ${rounds})`);
say(`with Redis ${each(real)}; Redis itself ${median(redisCosts).toFixed(1)} µs (median of ${realRounds})`);

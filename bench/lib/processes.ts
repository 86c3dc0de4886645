import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';

/** The core of what is measured, and that of all else. */
const measuredCore = '0';
const otherCore = '1';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts what is measured, on its core. Its output is thrown away where it says too much of itself. */
export function startMeasured(
  program: string,
  programArguments: readonly string[],
  output: 'inherit' | 'ignore' = 'inherit',
): ChildProcess {
  const child = spawn('taskset', ['-c', measuredCore, program, ...programArguments], {
    stdio: ['ignore', output, output],
  });
  return kept(child);
}

/** Starts a module that takes part in a measurement, on the other core. */
export function startHelper(module: string, ...moduleArguments: readonly string[]): ChildProcess {
  const child = kept(fork(module, moduleArguments, { execArgv: ['--disable-warning=ExperimentalWarning'] }));
  execFileSync('taskset', ['-a', '-cp', otherCore, String(child.pid)]);
  return child;
}

function kept(child: ChildProcess): ChildProcess {
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/** Ends it with all that it started. */
export function stop(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    child.on('exit', () => done());
    for (const pid of descendants(child.pid!)) process.kill(pid, 'SIGTERM');
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 3000).unref();
  });
}

export function said<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((done) => child.once('message', (answer) => done(answer as Answer)));
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Until `check` holds; what it throws counts as no. */
export async function until(check: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await check().catch(() => false))) {
    if (performance.now() > endMs) throw new Error('a process of the bench did not become ready');
    await new Promise((done) => setTimeout(done, 50));
  }
}

/**
 * User and system CPU time, in µs, that a process, all its threads and all that it started have used. The kernel counts
 * it in ticks of 10 ms, so a measurement takes a second or more.
 */
export function cpuMicros(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, each) => sum + ownCpuMicros(each), 0);
}

function ownCpuMicros(pid: number): number {
  const fields = statOf(pid);
  return fields === null ? 0 : (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, each) => {
    const pages = readFileSync(`/proc/${each}/statm`, 'latin1').split(' ')[1];
    return sum + Number(pages) * 4096;
  }, 0);
}

/** What follows the program's name in /proc/PID/stat; null when it has ended. */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  } catch {
    return null;
  }
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statOf(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  const add = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      add(child);
    }
  };
  add(root);
  return found;
}

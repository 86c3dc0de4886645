import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { nodeFlags } from '../../scripts/lib/node-flags.ts';
import { freePort, repository } from '../support/command.ts';

export const model = 'chaos/model';

/** A command of ours as a process of its own, its output in a file. */
export class Command {
  readonly #arguments: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #log: string;
  #child: ChildProcess | null = null;

  constructor(commandArguments: readonly string[], log: string, env: Readonly<Record<string, string>> = {}) {
    this.#arguments = commandArguments;
    this.#log = log;
    this.#env = env;
  }

  start(): void {
    const output = createWriteStream(this.#log, { flags: 'a' });
    const main = [...nodeFlags, `${repository}/src/cli/main.ts`, ...this.#arguments];
    const env = { ...process.env, ...this.#env };
    this.#child = spawn(process.execPath, main, { env, cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout?.pipe(output, { end: false });
    this.#child.stderr?.pipe(output, { end: false });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Whether it has ended by itself. */
  get ended(): boolean {
    return this.#child !== null && (this.#child.exitCode !== null || this.#child.signalCode !== null);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Ends it at once and waits until it has. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || this.ended) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  get residentBytes(): number {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1] ?? '0';
    return Number(kib) * 1024;
  }

  get openFiles(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }
}

/** A simulated engine in a process of its own, always on the same port. */
export class EngineProcess extends Command {
  readonly port: number;
  readonly url: string;

  private constructor(port: number, log: string, timeScale: number) {
    super(['engine', '--model', model, '--port', `${port}`, '--time-scale', `${timeScale}`], log);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async create(log: string, timeScale = 1): Promise<EngineProcess> {
    const engine = new EngineProcess(await freePort(), log, timeScale);
    engine.start();
    await answers(`${engine.url}/health`);
    return engine;
  }

  /** What is to go wrong there (see docs/simulated-engine.md); `{}` ends it. Nothing when it does not answer. */
  async fail(failures: object): Promise<void> {
    const body = JSON.stringify(failures);
    await fetch(`${this.url}/sim/failures`, { method: 'POST', body, signal: AbortSignal.timeout(2000) }).catch(
      () => null,
    );
  }

  /** Requests it has in hand. */
  async load(): Promise<number> {
    const answer = await fetch(`${this.url}/load`, { signal: AbortSignal.timeout(5000) });
    return ((await answer.json()) as { server_load: number }).server_load;
  }
}

/** Waits until `url` answers 200. */
export async function answers(url: string, limitMs = 60_000): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    if (performance.now() > end) throw new Error(`${url} does not answer`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

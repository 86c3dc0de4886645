import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, repository, runCommand } from '../support/command.ts';

/** A running vLLM. */
export interface Vllm {
  readonly url: string;
  /** Lets it and its workers stand still. */
  freeze(): void;
  /** Ends it and its workers at once. */
  kill(): void;
}

const tries = 3;
/** It looks for free ports of its own, which another may take before it does; then it ends, or hangs. */
const portTaken = 'Address already in use';

/** Starts a real vLLM (CPU build) with the toy model in `folder`; resolves when it answers. `environment` is asked at each try. */
export async function startVllm(
  folder: string,
  name: string,
  port: number,
  moreArgs: readonly string[],
  environment: () => Promise<Readonly<Record<string, string>>> = () => Promise.resolve({}),
): Promise<Vllm> {
  for (let left = tries; ; left--) {
    try {
      return await start(folder, name, port, moreArgs, await environment());
    } catch (error) {
      if (left === 1 || !String(error).includes(portTaken)) throw error;
    }
  }
}

async function start(
  folder: string,
  name: string,
  port: number,
  moreArgs: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Vllm> {
  const installed = await runCommand('sh', [join(repository, 'test/vllm/install.sh')]);
  assert.equal(installed.status, 0, installed.stderr);
  const log = join(folder, `${name}.log`);
  const url = `http://127.0.0.1:${port}`;
  const engine = spawn(
    join(installed.stdout.trim(), 'bin/python'),
    ['-m', 'vllm.entrypoints.openai.api_server', '--model', join(folder, 'tiny'), '--served-model-name', 'tiny']
      .concat(['--load-format', 'dummy', '--dtype', 'float32', '--enforce-eager', '--seed', '0'])
      .concat(['--max-model-len', '2048', '--block-size', '32', '--enable-prefix-caching'])
      .concat(['--enable-prompt-tokens-details', '--host', '127.0.0.1', '--port', `${port}`, ...moreArgs]),
    {
      env: {
        ...process.env,
        HF_HUB_OFFLINE: '1',
        VLLM_CPU_KVCACHE_SPACE: '1',
        VLLM_CPU_OMP_THREADS_BIND: 'nobind',
        VLLM_NO_USAGE_STATS: '1',
        DO_NOT_TRACK: '1',
        OMP_NUM_THREADS: '1',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // its own process group: its workers outlive it
    },
  );
  writeFileSync(log, '');
  const output = createWriteStream(log);
  engine.stdout.pipe(output);
  engine.stderr.pipe(output);
  const signal = (name: NodeJS.Signals): void => {
    if (engine.pid === undefined || engine.exitCode !== null) return;
    try {
      process.kill(-engine.pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  const kill = (): void => signal('SIGKILL');
  try {
    await eventually(`${name} answers /health`, 400_000, async () => {
      const said = readFileSync(log, 'utf8');
      if (engine.exitCode !== null || said.includes(portTaken)) throw new Error(`vLLM ended:\n${said.slice(-4000)}`);
      const response = await fetch(`${url}/health`).catch(() => null);
      return response?.ok === true ? true : null;
    });
  } catch (error) {
    kill();
    throw error;
  }
  return { url, freeze: () => signal('SIGSTOP'), kill };
}

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testedEnvoy } from '../../src/stack/envoy-program.ts';
import { eventually, freePort, repository, runCommand, temporaryFolder, type Cleanup } from '../support/command.ts';

/** A real Envoy in front of an EPP that is a process of its own. */
export interface Front {
  readonly url: string;
  readonly adminUrl: string;
  readonly grpcPort: number;
  readonly healthPort: number;
  /** The EPP that runs now. */
  epp(): ChildProcess;
  /** Another one in its place. */
  startEpp(): Promise<void>;
  stopEpp(signal: NodeJS.Signals): Promise<void>;
}

interface FrontFlags {
  /** In place of `--endpoint` and the endpoints. */
  readonly envoy?: readonly string[];
  readonly epp?: readonly string[];
}

const launcher = join(repository, 'signalbox');

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((done) => child.once('exit', done));
}

export function start(t: Cleanup, program: string, programArguments: readonly string[]): ChildProcess {
  const child = spawn(program, programArguments, { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await ended(child);
  });
  return child;
}

/** An Envoy with what `envoy-config` prints for these flags; its URL, once it answers. */
export async function startEnvoy(t: Cleanup, flags: readonly string[], patienceMs = 20_000): Promise<string> {
  const port = await freePort();
  const printed = await runCommand(launcher, ['envoy-config', '--port', String(port), ...flags]);
  assert.equal(printed.status, 0, printed.stderr);
  const file = join(temporaryFolder(t), 'envoy.yaml');
  writeFileSync(file, printed.stdout);
  start(t, await testedEnvoy(), ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error']);
  const url = `http://127.0.0.1:${port}`;
  await eventually('Envoy answers', patienceMs, async () => {
    const response = await fetch(`${url}/v1/models`).catch(() => null);
    return response?.ok === true ? true : null;
  });
  return url;
}

/** Envoy and EPP in front of `endpoints`. */
export async function startFront(t: Cleanup, endpoints: readonly string[], flags: FrontFlags = {}): Promise<Front> {
  const [grpcPort, healthPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const ports = ['--grpc-port', grpcPort, '--grpc-health-port', healthPort, '--metrics-port', adminPort].map(String);
  const named = endpoints.length === 0 ? [] : ['--endpoint', ...endpoints];
  let epp: ChildProcess | null = null;
  const startEpp = async (): Promise<void> => {
    epp = start(t, launcher, ['epp', '--host', '127.0.0.1', ...ports, ...named, ...(flags.epp ?? [])]);
    await eventually('the EPP is ready', 20_000, async () => {
      const ready = await fetch(`${adminUrl}/readyz`).catch(() => null);
      return ready?.ok === true ? true : null;
    });
  };
  await startEpp();
  const url = await startEnvoy(t, ['--epp', `127.0.0.1:${grpcPort}`, ...(flags.envoy ?? named)]);
  return {
    ...{ url, adminUrl, grpcPort, healthPort, startEpp },
    epp: () => epp!,
    async stopEpp(signal) {
      epp!.kill(signal);
      await ended(epp!);
    },
  };
}

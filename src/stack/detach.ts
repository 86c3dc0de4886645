import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stackFolder } from './state.ts';

/** Set in the process that `up --detach` leaves behind. */
const detachedVariable = 'SIGNALBOX_DETACHED';

interface DetachedEnd {
  readonly exitCode: number;
  readonly stderr: string;
}

/**
 * Runs `signalbox ARGS` in a process of its own that holds nothing of its caller: not its terminal, nor its files.
 * Resolves with null once that process has called `announceReady`, or with how it ended before.
 */
export async function startDetached(args: readonly string[], namespace: string): Promise<DetachedEnd | null> {
  const folder = stackFolder(namespace);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Its own name, so that a second `up` that is refused does not write into the first one's.
  const errorsPath = join(folder, `up.${process.pid}.err`);
  const errors = openSync(errorsPath, 'w+');
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    cwd: folder,
    env: { ...process.env, [detachedVariable]: '1' },
    stdio: ['ignore', 'ignore', errors, 'ipc'],
    detached: true,
  });
  closeSync(errors);
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  const ready = once(child, 'message').then(() => null);
  const end = await Promise.race([ready, exited]);
  if (end === null) {
    renameSync(errorsPath, join(folder, 'up.err'));
    child.disconnect();
    child.unref();
    return null;
  }
  const stderr = readFileSync(errorsPath, 'utf8');
  rmSync(errorsPath);
  return { exitCode: end[0] ?? 1, stderr };
}

/** True in the process that `up --detach` leaves behind. */
export function isDetached(): boolean {
  return process.env[detachedVariable] !== undefined && process.send !== undefined;
}

/** Lets the caller of `up --detach` go, which until now ended this process by its own death. */
export function announceReady(): void {
  process.removeAllListeners('disconnect');
  process.send?.('ready');
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { SignalboxError } from '../base/errors.ts';
import { handDown } from '../base/handed-down.ts';

/**
 * Starts this program once more, as it was started, with the same listening sockets. Resolves with its process id when it
 * has told that it answers there (they are named by file descriptor); where it does not come to that, this process goes on alone. @throws SignalboxError
 */
export async function startSuccessor(sockets: readonly number[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env: { ...process.env, ...handDown(sockets.length, 'predecessor') },
    stdio: ['inherit', 'inherit', 'inherit', ...sockets, 'ipc'],
  });
  const ended = once(child, 'exit').then(([code, signal]: unknown[]) => {
    throw new SignalboxError('environment', `the new process ended (${String(signal ?? code)}) before it answered`);
  });
  await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => undefined);
  if (child.connected) child.disconnect();
  child.unref();
  return child.pid!;
}

/** Tells whoever waits for it, having started this process with sockets of theirs, that it answers there. */
export function announceServing(): void {
  process.send?.('serving', () => {
    if (process.connected) process.disconnect();
  });
}

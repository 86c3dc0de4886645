/** Set for a child whose stdin is a pipe held open by its parent. */
export const parentPipeVariable = 'SIGNALBOX_PARENT_PIPE';

/** How long a process whose parent died may take to end by itself. */
const graceMs = 2000;

/**
 * Makes a supervised process end when its supervisor is gone, even if that was killed: the pipe on stdin closes with
 * it. Does nothing in a process that was not started so.
 */
export function endWithParent(): void {
  if (process.env[parentPipeVariable] === undefined) return;
  delete process.env[parentPipeVariable];
  process.stdin.once('close', () => {
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), graceMs).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  process.stdin.on('error', () => process.stdin.destroy());
  process.stdin.resume();
  (process.stdin as Partial<NodeJS.ReadStream> & { unref?: () => void }).unref?.();
}

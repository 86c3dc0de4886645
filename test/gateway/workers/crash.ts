/** Loaded into a gateway's process by `--import`: its first further thread throws when the process is sent SIGWINCH. */
import { BroadcastChannel, isMainThread, workerData } from 'node:worker_threads';

const channel = new BroadcastChannel('crash').unref();
if (isMainThread) process.on('SIGWINCH', () => channel.postMessage('now'));
else if ((workerData as { options?: { place?: { rank: number } } } | null)?.options?.place?.rank === 1) {
  channel.onmessage = () => {
    throw new Error('thrown by a test');
  };
}

import { Worker } from 'node:worker_threads';

const patienceMs = 10_000;
const worker = import.meta.url.replace(/preflight(?=\.[jt]s$)/, 'preflight-worker');

/** Null when the file loads and its load ends; else what is wrong, in words. */
export function preflight(fileUrl: URL): Promise<string | null> {
  return new Promise((resolve) => {
    const thread = new Worker(new URL(worker), { workerData: fileUrl.href });
    const end = (fault: string | null): void => {
      clearTimeout(timer);
      void thread.terminate();
      resolve(fault);
    };
    const timer = setTimeout(() => end(`loading it does not end within ${patienceMs / 1000} s`), patienceMs);
    thread.once('message', end);
    thread.once('error', (error) => end(error instanceof Error ? error.message : String(error)));
    thread.once('exit', () => end('it ended the thread that loaded it'));
  });
}

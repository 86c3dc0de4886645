import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SignalboxError } from '../base/errors.ts';
import type { Job, JobResult } from './jobs.ts';

/** What a worker says. */
export type Reply =
  | { readonly kind: 'progress'; readonly share: number }
  | { readonly kind: 'done'; readonly result: JobResult }
  | { readonly kind: 'failed'; readonly message: string };

const workerModule = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));

interface Listeners {
  /** Hears how much of all is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
  /** Hears each result when it is there. */
  readonly onResult?: (job: Job, result: JobResult) => void;
}

/**
 * Runs jobs in `processes` processes beside each other and gives their results in the jobs' order.
 * The first job that fails ends all.
 */
export async function runJobs(
  jobs: readonly Job[],
  processes: number,
  { onProgress, onResult }: Listeners = {},
): Promise<JobResult[]> {
  const results: JobResult[] = [];
  const shares = new Float64Array(jobs.length);
  const children: ChildProcess[] = [];
  let next = 0;
  const report = (index: number, share: number): void => {
    shares[index] = share;
    onProgress?.(shares.reduce((sum, each) => sum + each, 0) / jobs.length);
  };
  const serve = async (child: ChildProcess): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      const result = await ask(child, jobs[index]!, (share) => report(index, share));
      results[index] = result;
      onResult?.(jobs[index]!, result);
      report(index, 1);
    }
  };
  try {
    const count = Math.min(processes, jobs.length);
    for (let at = 0; at < count; at++) {
      children.push(fork(workerModule, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
    }
    await Promise.all(children.map(serve));
  } finally {
    for (const child of children) child.kill();
  }
  return results;
}

function ask(child: ChildProcess, job: Job, onProgress: (share: number) => void): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      child.off('message', onMessage);
      child.off('exit', onExit);
      child.off('error', onError);
    };
    const fail = (message: string): void => {
      settle();
      reject(new SignalboxError('internal', `${job.policy}: ${message}`));
    };
    const onMessage = (reply: Reply): void => {
      if (reply.kind === 'progress') onProgress(reply.share);
      else if (reply.kind === 'failed') fail(reply.message);
      else {
        settle();
        resolve(reply.result);
      }
    };
    const onExit = (code: number | null, signal: string | null): void =>
      fail(`its process ended (${signal ?? `exit code ${code}`}), perhaps for want of memory`);
    const onError = (error: Error): void => fail(error.message);
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.on('error', onError);
    child.send(job, (error) => {
      if (error !== null) fail(error.message);
    });
  });
}

/**
 * A process that runs scenarios for `pool.ts`: a job comes as a message, its progress and result go back as messages.
 * It ends when its parent does.
 */
import { messageOf } from '../base/errors.ts';
import { readTrace } from '../traffic/trace/read.ts';
import type { Trace } from '../traffic/trace/trace.ts';
import type { Job } from './jobs.ts';
import { runJob } from './jobs.ts';
import { preparePolicy } from './policies.ts';
import type { Reply } from './pool.ts';

const traces = new Map<string, Promise<Trace>>();

process.on('disconnect', () => process.exit());
process.on('message', (job: Job) => void work(job));

async function work(job: Job): Promise<void> {
  try {
    const { trace: name, part } = job.scenario;
    const key = JSON.stringify([name, part]);
    const reading = traces.get(key) ?? readTrace(name, part === null ? {} : { part });
    traces.set(key, reading);
    await preparePolicy(job.policy);
    const result = runJob(job, await reading, (share) => reply({ kind: 'progress', share }));
    reply({ kind: 'done', result });
  } catch (error) {
    reply({ kind: 'failed', message: messageOf(error) });
  }
}

function reply(message: Reply): void {
  process.send?.(message);
}

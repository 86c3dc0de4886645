/** Loads a plugin file on a thread of its own, so that one that never finishes loading stops nobody else. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import { importAnew } from './module-hooks.ts';

importAnew(new URL(workerData as string), 'preflight', new Set()).then(
  () => parentPort?.postMessage(null),
  (error: unknown) => parentPort?.postMessage(messageOf(error)),
);

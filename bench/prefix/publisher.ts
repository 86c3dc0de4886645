/**
 * Publishes KV events at a rate, on a thread of its own as engines do: tells its configuration once it is there, and takes
 * blocks per second as messages.
 */
import { parentPort } from 'node:worker_threads';
import { KvPublisher } from '../../src/engine/server/kv-publisher.ts';
import { parseKvEventsConfig } from '../../src/engine/server/kv-events.ts';
import { batchOf } from './batch.ts';

const blocksPerBatch = 8;
const batches = Array.from({ length: 25_000 }, (_, which) => batchOf(which, blocksPerBatch));
const everyMs = 5;
const config = {
  enable_kv_cache_events: true,
  endpoint: 'tcp://127.0.0.1:0',
  replay_endpoint: 'tcp://127.0.0.1:0',
  buffer_steps: 1000,
};
const publisher = await KvPublisher.start(parseKvEventsConfig(JSON.stringify(config)));
parentPort!.postMessage(publisher.config);

let blocksPerSecond = 0;
let next = 0;
let due = 0;
let lastMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  due += ((nowMs - lastMs) / 1000) * blocksPerSecond;
  lastMs = nowMs;
  for (; due >= blocksPerBatch; due -= blocksPerBatch) publisher.publish(batches[next++ % batches.length]!);
}, everyMs);
parentPort!.on('message', (rate: number) => (blocksPerSecond = rate));

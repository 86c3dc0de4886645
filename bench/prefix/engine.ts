/**
 * An engine that costs little and publishes KV events at a rate, for bench/prefix/starvation.ts: prints its port, takes blocks
 * per second as lines on stdin, ends with its parent.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
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
const answer = JSON.stringify({
  choices: [{ index: 0, text: ' word', finish_reason: 'length' }],
  usage: { prompt_tokens: 100, completion_tokens: 1, total_tokens: 101 },
});
const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  if (request.url === '/v1/models') return void response.end('{"object":"list","data":[{"id":"bench"}]}');
  if (request.url === '/kv_event_sources') return void response.end(JSON.stringify({ 0: publisher.config }));
  request.resume().on('end', () => response.end(request.method === 'POST' ? answer : ''));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

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
createInterface({ input: process.stdin })
  .on('line', (line) => (blocksPerSecond = Number(line)))
  .on('close', () => process.exit());

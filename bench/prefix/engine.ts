/**
 * An engine that costs little and publishes KV events at a rate, for bench/prefix/starvation.ts: prints its port, takes blocks
 * per second as lines on stdin, ends with its parent.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';

const publisher = new Worker(join(import.meta.dirname, 'publisher.ts'));
const [sources] = (await once(publisher, 'message')) as [unknown];
const answer = JSON.stringify({
  choices: [{ index: 0, text: ' word', finish_reason: 'length' }],
  usage: { prompt_tokens: 100, completion_tokens: 1, total_tokens: 101 },
});
const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  if (request.url === '/v1/models') return void response.end('{"object":"list","data":[{"id":"bench"}]}');
  if (request.url === '/kv_event_sources') return void response.end(JSON.stringify({ 0: sources }));
  request.resume().on('end', () => response.end(request.method === 'POST' ? answer : ''));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
createInterface({ input: process.stdin })
  .on('line', (line) => publisher.postMessage(Number(line)))
  .on('close', () => process.exit());

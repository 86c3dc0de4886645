/**
 * Engines that answer at once, in a process of its own: what is measured is what stands in front of them. Started by
 * `fork` with their number and for how long they keep idle connections; says on which ports they listen. Every answer carries the checksum of the body it is to.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import { model } from '../lib/traffic.ts';

const usage = { prompt_tokens: 50, completion_tokens: 50, total_tokens: 100 };
const tokens = 50;
const answer = JSON.stringify({ id: 'a', object: 'text_completion', model, choices: [{ index: 0, text: 'b' }], usage });
const event = `data: ${JSON.stringify({ id: 'a', object: 'text_completion', model, choices: [{ index: 0, text: ' b' }] })}\n\n`;
const models = JSON.stringify({ object: 'list', data: [{ id: model }] });

let pageReads = 0;

/** As long as a real vLLM's page, of which routers want a few lines. */
function metricsPage(): string {
  pageReads++;
  const gauges = ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc'].map(
    (name) =>
      `# HELP vllm:${name} A gauge.\n# TYPE vllm:${name} gauge\nvllm:${name}{engine="0",model_name="${model}"} 0.0\n`,
  );
  const buckets = Array.from({ length: 20 }, (_, family) =>
    Array.from(
      { length: 25 },
      (_, bucket) => `vllm:histogram_${family}_bucket{engine="0",le="${bucket}",model_name="${model}"} 0.0\n`,
    ).join(''),
  );
  return `${gauges.join('')}${buckets.join('')}process_start_time_seconds 1.0\n`;
}
const page = metricsPage();

function stream(response: ServerResponse): void {
  let sent = 0;
  const next = (): void => {
    if (sent++ < tokens) {
      response.write(event);
      setImmediate(next);
    } else {
      response.end(`data: ${JSON.stringify({ id: 'a', model, choices: [], usage })}\n\ndata: [DONE]\n\n`);
    }
  };
  next();
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'GET') {
    if (request.url === '/metrics') pageReads++;
    response.setHeader('content-type', request.url === '/metrics' ? 'text/plain; version=0.0.4' : 'application/json');
    response.end(request.url === '/metrics' ? page : models);
    return;
  }
  let checksum = 0;
  let end: Buffer = Buffer.alloc(0);
  request.on('data', (chunk: Buffer) => {
    checksum = crc32(chunk, checksum);
    end = chunk.length >= 20 ? chunk : Buffer.concat([end, chunk]);
  });
  request.on('end', () => {
    const streams = end.includes('"stream":true');
    response.setHeader('x-body-crc32', checksum);
    response.setHeader('content-type', streams ? 'text/event-stream' : 'application/json');
    if (streams) stream(response);
    else response.end(answer);
  });
}

const count = Number(process.argv[2]);
const keepAliveMs = Number(process.argv[3]);
const servers = Array.from({ length: count }, () => createServer({ keepAliveTimeout: keepAliveMs }, serve));
await Promise.all(servers.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))));
process.on('message', () => process.send!({ pageReads }));
process.on('disconnect', () => process.exit());
process.send!({ ports: servers.map((server) => (server.address() as AddressInfo).port) });

/**
 * Engines that cost little, for bench/see-why.ts: ports in one process, each of which streams so many events, one every few
 * milliseconds, with usage at the end.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As far apart as those of a fast engine: each is one to the gateway, and does not come together with others. */
const eventMs = 5;
const [count, chunks] = process.argv.slice(2).map(Number) as [number, number];
const event = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const head = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'bench' };
const choice = { index: 0, delta: { content: ' word' }, finish_reason: null };
const usage = {
  prompt_tokens: 1000,
  completion_tokens: chunks,
  total_tokens: 1000 + chunks,
  prompt_tokens_details: { cached_tokens: 900 },
};
const token = event({ ...head, choices: [choice] });
const last = `${event({ ...head, choices: [], usage })}data: [DONE]\n\n`;

async function start(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json');
      response.end(request.url === '/v1/models' ? JSON.stringify({ object: 'list', data: [{ id: 'bench' }] }) : '');
      return;
    }
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let sent = 0;
      const timer = setInterval(() => {
        if (++sent < chunks) return void response.write(token);
        clearInterval(timer);
        response.end(token + last);
      }, eventMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const urls = await Promise.all(Array.from({ length: count }, start));
process.stdout.write(`${JSON.stringify(urls)}\n`);
process.stdin.resume().on('end', () => process.exit());

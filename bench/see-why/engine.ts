/** An engine that costs little, for bench/see-why.ts: streams so many events with usage at the end, at once. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const chunks = Number(process.argv[2]);
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

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json');
    response.end(request.url === '/v1/models' ? JSON.stringify({ object: 'list', data: [{ id: 'bench' }] }) : '');
    return;
  }
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let sent = 0;
    const next = (): void => {
      response.write(token);
      if (++sent < chunks) setImmediate(next);
      else response.end(last);
    };
    next();
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit());

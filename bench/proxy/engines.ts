/**
 * Engines that answer at once and cost as little as they can: what is measured is what stands in front of them. A process
 * of its own, with its own few lines of HTTP: `node:http` would keep the core that it shares with the load busy. Started
 * by `fork` with their number; says on which ports they listen. Every answer says how many bytes the body had that came.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { model } from '../lib/traffic.ts';

const tokens = 50;
/** Between the events of a paced stream. */
const pacedMs = 20;

const usage = { prompt_tokens: 50, completion_tokens: tokens, total_tokens: 50 + tokens };
const choice = { index: 0, text: ' word', logprobs: null, finish_reason: null };
const head = { id: 'cmpl-1', object: 'text_completion', created: 1, model };
const document = JSON.stringify({ ...head, choices: [{ ...choice, finish_reason: 'length' }], usage });
const chatDocument = JSON.stringify({
  ...{ ...head, object: 'chat.completion', usage },
  choices: [{ index: 0, message: { role: 'assistant', content: ' word' }, logprobs: null, finish_reason: 'length' }],
});
const event = chunk(`data: ${JSON.stringify({ ...head, choices: [choice] })}\n\n`);
const chatEvent = chunk(
  `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: ' word' }, logprobs: null, finish_reason: null }] })}\n\n`,
);
const last = ending({ ...head, choices: [{ ...choice, finish_reason: 'length' }] });
const chatLast = ending({
  ...head,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: {}, finish_reason: 'length' }],
});
const metrics = ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc']
  .map((name) => `# TYPE vllm:${name} gauge\nvllm:${name}{engine="0",model_name="${model}"} 0.0\n`)
  .join('');

/** What ends a stream: its last event, its usage, and the end of its chunks. */
function ending(finish: object): string {
  const events = [JSON.stringify(finish), JSON.stringify({ ...finish, choices: [], usage }), '[DONE]'];
  return `${events.map((data) => chunk(`data: ${data}\n\n`)).join('')}0\r\n\r\n`;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

function answer(type: string, body: string, bodyBytes = 0): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\nx-body-bytes: ${bodyBytes}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

const headEnd = Buffer.from('\r\n\r\n');

function serve(socket: Socket): void {
  let received: Buffer = Buffer.alloc(0);
  let chunks: Buffer[] = [];
  let bytes = 0;
  let expected = -1;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    chunks.push(data);
    bytes += data.length;
    if (expected < 0) {
      received = chunks.length === 1 ? data : Buffer.concat(chunks);
      const end = received.indexOf(headEnd);
      if (end < 0) return;
      const length = /content-length: *(\d+)/i.exec(received.toString('latin1', 0, end));
      expected = end + headEnd.length + Number(length?.[1] ?? 0);
    }
    if (bytes < expected) return;
    received = chunks.length === 1 ? data : Buffer.concat(chunks);
    const request = received;
    const whole = expected;
    chunks = [];
    bytes = 0;
    expected = -1;
    respond(socket, request, whole);
  });
}

function respond(socket: Socket, request: Buffer, whole: number): void {
  const end = request.indexOf(headEnd);
  const line = request.toString('latin1', 0, request.indexOf(0x0d));
  const [method = '', path = ''] = line.split(' ');
  const bodyBytes = whole - end - headEnd.length;
  if (method === 'GET') {
    if (path === '/metrics') socket.write(answer('text/plain; version=0.0.4', metrics));
    else
      socket.write(
        answer('application/json', JSON.stringify({ object: 'list', data: [{ id: model, object: 'model' }] })),
      );
    return;
  }
  if (path.endsWith('/render'))
    return void socket.write(answer('application/json', rendered(path, request, end), bodyBytes));
  const streams = request.includes('"stream":true', end);
  const isChat = path.includes('chat');
  if (!streams) return void socket.write(answer('application/json', isChat ? chatDocument : document, bodyBytes));
  const one = isChat ? chatEvent : event;
  socket.write(
    `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-body-bytes: ${bodyBytes}\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  if (request.includes('"paced":true', end)) {
    let sent = 0;
    const pace = (): void => {
      if (socket.destroyed) return;
      socket.write(one);
      if (++sent < tokens) setTimeout(pace, pacedMs);
      else socket.write(isChat ? chatLast : last);
    };
    setTimeout(pace, pacedMs);
    return;
  }
  for (let sent = 0; sent < tokens; sent++) socket.write(one);
  socket.write(isChat ? chatLast : last);
}

/** Token ids of a prompt, alike for like beginnings: a number for every four bytes. */
function rendered(path: string, request: Buffer, end: number): string {
  const ids: number[] = [];
  for (let at = end + headEnd.length; at + 4 <= request.length; at += 4) ids.push(request.readUInt32LE(at) % 150_000);
  const rendering = { request_id: 'r', token_ids: ids, sampling_params: {} };
  return JSON.stringify(path.includes('chat') ? rendering : [rendering]);
}

const count = Number(process.argv[2]);
const servers = Array.from({ length: count }, () => createServer(serve));
await Promise.all(servers.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))));
process.on('disconnect', () => process.exit());
process.send!({ ports: servers.map((server) => (server.address() as AddressInfo).port) });

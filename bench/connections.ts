/**
 * `npm run bench:connections`: memory of one gateway process under many connections, for docs/reliability.md: idle ones,
 * streams, and streams that nobody reads. The engine is a stub in this process, so that only the gateway is measured.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, Command } from '../test/chaos/process.ts';
import { freePort } from '../test/support/command.ts';

const idleConnections = 10_000;
const streams = 2_000;
const slowClients = 2_000;
/** What an engine has to say to each client that does not read, and how often it says the next words of it. */
const answerBytes = 8 * 1024 * 1024;
const sayEveryMs = 300;
const mib = 1024 * 1024;

const pause = (milliseconds: number): Promise<void> => new Promise((next) => setTimeout(next, milliseconds));
const event = Buffer.from('data: {"id":"x","object":"text_completion","choices":[{"index":0,"text":" word"}]}\n\n');
const manyEvents = Buffer.alloc(event.length * 200, event);
const open = new Set<ServerResponse>();
let takenBytes = 0;
let lostConnections = 0;

/**
 * Says a word twice a second to whoever asked for a stream, or as much as is taken where the prompt says so: by and by, as
 * engines do, for what is said at once makes the kernel's buffers grow until it has no memory for sockets left.
 */
const engine = createServer((request, response) => {
  if (request.url === '/v1/models') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ data: [{ id: 'stub' }] }));
    return;
  }
  if (request.method !== 'POST' || request.url !== '/v1/completions') return void response.writeHead(404).end();
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => (body += text));
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (!body.includes('as much as you can')) {
      response.write(event);
      open.add(response);
      response.on('close', () => open.delete(response));
      return;
    }
    let left = answerBytes;
    const write = (): void => {
      if (left <= 0 || response.destroyed) return;
      left -= manyEvents.length;
      takenBytes += manyEvents.length;
      const next = (): unknown => setTimeout(write, sayEveryMs);
      if (response.write(manyEvents)) next();
      else response.once('drain', next);
    };
    setTimeout(write, Math.random() * sayEveryMs);
  });
});
await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve));
const speaking = setInterval(() => {
  for (const response of open) response.write(event);
}, 500);

const folder = mkdtempSync(join(tmpdir(), 'signalbox-connections-'));
const [port, adminPort] = [await freePort(), await freePort()];
const gateway = new Command(
  [
    ...['gateway', '--port', `${port}`, '--admin-port', `${adminPort}`],
    ...['--endpoint', `http://127.0.0.1:${(engine.address() as AddressInfo).port}`],
  ],
  join(folder, 'gateway.log'),
);

/** Opens so many connections, some at a time. */
async function connections(count: number, opened: (socket: Socket) => void): Promise<Socket[]> {
  const all: Socket[] = [];
  while (all.length < count) {
    await Promise.all(
      Array.from({ length: Math.min(200, count - all.length) }, async () => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => lostConnections++);
        all.push(socket);
        await new Promise<void>((resolve) => socket.once('connect', resolve));
        opened(socket);
      }),
    );
  }
  return all;
}

function ask(socket: Socket, prompt: string): void {
  const body = JSON.stringify({ model: 'stub', prompt, stream: true, max_tokens: 1000 });
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

/** The median and the longest of so many requests of others, one after another. */
async function others(): Promise<string> {
  const took: number[] = [];
  for (let count = 0; count < 100; count++) {
    const began = performance.now();
    await (await fetch(`http://127.0.0.1:${port}/v1/models`)).text();
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  return `${took[50]!.toFixed(1)} ms, at most ${took[99]!.toFixed(1)} ms`;
}

/** Connections that this machine's kernel has reset so far because sockets had taken all the memory they may. */
function abortedForMemory(): number {
  const [names, values] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  return Number(values![names!.indexOf('TCPAbortOnMemory')]);
}

const abortedBefore = abortedForMemory();
const rows: string[] = [];
async function row(what: string): Promise<void> {
  await pause(3000);
  const resident = Math.round(gateway.residentBytes / mib);
  rows.push(`| ${what} | ${resident} MiB | ${gateway.openFiles} | ${await others()} |`);
  console.error(rows.at(-1));
}

try {
  gateway.start();
  await answers(`http://127.0.0.1:${port}/readyz`);
  await row('nothing');
  const idle = await connections(idleConnections, () => undefined);
  await row(`${idle.length} idle connections`);
  let begun = 0;
  const active = await connections(streams, (socket) => {
    socket.once('data', () => begun++);
    socket.on('data', () => undefined);
    ask(socket, 'Say something.');
  });
  while (begun < active.length) await pause(50);
  await row(`and ${active.length} streams`);
  for (const socket of [...idle, ...active]) socket.destroy();
  while (open.size > 0) await pause(50);
  const slow = await connections(slowClients, (socket) => {
    socket.pause();
    ask(socket, 'Say as much as you can.');
  });
  for (let before = -1; before !== takenBytes;) {
    before = takenBytes;
    await pause(2000);
  }
  await row(`${slow.length} streams of ${answerBytes / mib} MiB that nobody reads`);
  console.error(`the engine could say ${Math.round(takenBytes / slow.length / 1024)} KiB to each of them`);
  console.error(
    `${lostConnections} connections were lost; ${abortedForMemory() - abortedBefore} were reset by the kernel, which had no memory for sockets left (net.ipv4.tcp_mem)`,
  );
  console.log(['| Connections | Memory | Open files | Others wait |', '|---|---|---|---|', ...rows].join('\n'));
} finally {
  clearInterval(speaking);
  await gateway.kill();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

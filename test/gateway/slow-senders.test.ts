import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { model, postJson, startStub, startTestGateway } from '../support/fleet-under-test.ts';

const ok = JSON.stringify({ object: 'text_completion', choices: [{ text: 'fine' }] });

/** All that comes until the connection is closed. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'close');
  return text;
}

async function connected(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('headers beyond 32 KiB are refused, and the next client is served', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url]);
  const socket = await connected(gateway.url);
  socket.write(`POST /v1/completions HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(40 * 1024)}\r\n\r\n`);
  assert.match(await untilClosed(socket), /^HTTP\/1\.1 431 /);
  assert.equal((await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'Hello' })).status, 200);
});

test('who sends headers by the byte is closed after a while, and keeps nobody else waiting', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url]);
  const slow = await Promise.all(Array.from({ length: 100 }, () => connected(gateway.url)));
  const ends = slow.map(untilClosed);
  for (const socket of slow) socket.write('POST /v1/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  let areOpen = true;
  const all = Promise.all(ends).then((texts) => {
    areOpen = false;
    return texts;
  });
  while (areOpen) {
    for (const socket of slow) if (!socket.destroyed) socket.write('x');
    assert.equal((await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'Hello' })).status, 200);
    await sleep(500);
  }
  for (const text of await all) assert.match(text, /^HTTP\/1\.1 408 /);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { model, postJson, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';

const mib = 1024 * 1024;
const ok = JSON.stringify({ object: 'text_completion', choices: [{ text: 'fine' }] });

function post(url: string, headers: Record<string, string | number>): ClientRequest {
  return httpRequest(`${url}/v1/completions`, { method: 'POST', agent: false, headers });
}

async function answerOf(
  request: ClientRequest,
): Promise<{ status: number; headers: IncomingMessage['headers']; text: string }> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode!, headers: response.headers, text };
}

async function bodyBytes(adminUrl: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(/^signalbox_request_body_bytes (\d+)$/m.exec(text)![1]);
}

function bodyOf(bytes: number): string {
  const body = JSON.stringify({ model, prompt: '' });
  return JSON.stringify({ model, prompt: 'x'.repeat(bytes - body.length) });
}

test('the bodies of all requests together are bounded, and what they take is given back', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url], { maxTotalBodyBytes: mib });
  const slow = post(gateway.url, { 'content-length': 900 * 1024 });
  slow.on('error', () => undefined);
  slow.write('x'.repeat(800 * 1024));
  await until(async () => (await bodyBytes(gateway.adminUrl)) === 800 * 1024);
  for (const chunked of [false, true]) {
    const body = bodyOf(400 * 1024);
    const second = post(gateway.url, chunked ? {} : { 'content-length': body.length });
    second.end(body);
    const refused = await answerOf(second);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers['retry-after'], '1');
    assert.match(refused.text, /"code":"overloaded"/);
  }
  const small = await postJson(`${gateway.url}/v1/completions`, bodyOf(100 * 1024));
  assert.equal(small.status, 200);
  await small.text();
  slow.destroy();
  await until(async () => (await bodyBytes(gateway.adminUrl)) === 0);
  assert.equal((await postJson(`${gateway.url}/v1/completions`, bodyOf(900 * 1024))).status, 200);
  await until(async () => (await bodyBytes(gateway.adminUrl)) === 0);
});

test('whoever sends a body that is far too large, and reads only then, reads why', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url]);
  const size = 100 * mib;
  const framed: Record<string, (piece: string) => string> = {
    [`content-length: ${size}`]: (piece) => piece,
    'transfer-encoding: chunked': (piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`,
  };
  for (const [header, frame] of Object.entries(framed)) {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => assert.fail('the connection was reset'));
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.pause();
    socket.write(`POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${header}\r\n\r\n`);
    const piece = frame(' '.repeat(mib));
    for (let sent = 0; sent < size; sent += mib) if (!socket.write(piece)) await once(socket, 'drain');
    if (header.startsWith('transfer')) socket.write('0\r\n\r\n');
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) answer += chunk as string;
    assert.match(answer, /^HTTP\/1\.1 413 .*"code":"body_too_large"/s);
  }
  assert.equal(stub.requests.length, 0);
});

test('a client that asks before it sends is told to go on, or why not', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url]);
  const large = post(gateway.url, { 'content-length': 100 * mib, expect: '100-continue' });
  large.on('continue', () => assert.fail('it is too large'));
  large.flushHeaders();
  assert.equal((await answerOf(large)).status, 413);
  large.destroy();

  const body = bodyOf(mib);
  const fine = post(gateway.url, { 'content-length': body.length, expect: '100-continue' });
  fine.flushHeaders();
  await once(fine, 'continue');
  fine.end(body);
  assert.equal((await answerOf(fine)).status, 200);
  assert.equal(stub.requests[0]!.body, body);
});

test('a body in pieces of a byte is put together', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url]);
  const socket = connect(gateway.port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  const body = bodyOf(100 * 1024);
  socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
  socket.write(`${[...body].map((character) => `1\r\n${character}\r\n`).join('')}0\r\n\r\n`);
  await until(() => answer.includes('fine'));
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.equal(stub.requests[0]!.body, body);
});

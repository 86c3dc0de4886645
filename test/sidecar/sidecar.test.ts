import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log.ts';
import { startSidecar } from '../../src/sidecar/sidecar.ts';
import { model, postJson, startEngine, startStub, until } from '../support/fleet-under-test.ts';

test('passes everything through, and says in one line when the engine comes or goes', async (t) => {
  const lines: string[] = [];
  const log = createLogger('test', { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) });
  const engine = await startEngine(t);
  const sidecar = await startSidecar({ port: 0, enginePort: engine.port, connector: null, log });
  t.after(() => sidecar.close(0));
  const url = `http://127.0.0.1:${sidecar.port}`;

  assert.equal((await fetch(`${url}/health`)).status, 200);
  assert.match(await (await fetch(`${url}/metrics`)).text(), /vllm:num_requests_running/);
  const body = { model, prompt: 'x', max_tokens: 3, stream: true };
  const direct = await (await postJson(`${engine.url}/v1/completions`, body)).text();
  const through = await (await postJson(`${url}/v1/completions`, body)).text();
  const texts = (stream: string): string[] => [...stream.matchAll(/"text":"[^"]*"/g)].map(([text]) => text);
  assert.deepEqual(texts(through), texts(direct));

  await engine.close();
  for (let i = 0; i < 3; i++) {
    const response = await fetch(`${url}/health`);
    assert.equal(response.status, 503);
    assert.match(await response.text(), /engine not ready/);
  }
  await startEngine(t, { port: engine.port });
  await until(async () => (await fetch(`${url}/health`)).status === 200);
  assert.deepEqual(lines, ['listening', 'engine answers', 'engine not ready', 'engine answers']);
});

test('a stream that breaks off is broken off, not ended', async (t) => {
  const stub = await startStub(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {}\n\n', () => request.socket.destroy());
  });
  const sidecar = await startSidecar({
    port: 0,
    enginePort: Number(stub.name.split(':')[1]),
    connector: null,
    log: createLogger('test', { write: () => undefined }),
  });
  t.after(() => sidecar.close(0));
  const response = await postJson(`http://127.0.0.1:${sidecar.port}/v1/completions`, {});
  await assert.rejects(response.text());
});

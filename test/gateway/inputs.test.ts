import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PoliciesJson } from '../../src/admin/json.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { temporaryFolder } from '../support/command.ts';
import {
  model,
  postJson,
  silent,
  startEngine,
  startStub,
  startTestGateway,
  until,
} from '../support/fleet-under-test.ts';
import { heldBytes } from '../support/memory.ts';

interface ErrorJson {
  error: { message: string; type: string; param: string | null; code: string };
}

test('what is wrong with a request is said in the OpenAI shape, whatever it is', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url], { maxBodyBytes: 1024 * 1024 });
  const refused = async (path: string, init: RequestInit, status: number, code: string): Promise<void> => {
    const response = await fetch(gateway.url + path, init);
    assert.equal(response.status, status);
    assert.match(response.headers.get('content-type') ?? '', /application\/json/);
    const { error } = (await response.json()) as ErrorJson;
    assert.equal(error.code, code);
    assert.notEqual(error.message, '');
  };
  const post = (body: string): RequestInit => ({ method: 'POST', body });
  await refused('/v1/completions', post('{"model":'), 400, 'body_malformed');
  await refused('/v1/completions', post(''), 400, 'body_malformed');
  await refused('/v1/chat/completions', post('[]'), 400, 'request_invalid');
  await refused('/v1/completions', post('{"prompt":"x"}'), 400, 'request_invalid');
  await refused('/v1/completions', post('{"model":"no/such","prompt":"x"}'), 404, 'model_unknown');
  await refused('/v1/completions', { method: 'GET' }, 405, 'method_not_allowed');
  await refused('/v1/models/no/such', { method: 'GET' }, 404, 'model_unknown');
  await refused('/nowhere', { method: 'GET' }, 404, 'route_unknown');
  await refused('/v1/completions', post(`"${'x'.repeat(2 * 1024 * 1024)}"`), 413, 'body_too_large');
  assert.equal((await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', max_tokens: 1 })).status, 200);
});

test('a body of 100 MB without a length is refused at the limit and does not stay in memory', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url], { maxBodyBytes: 1024 * 1024 });
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
  const piece = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  let sent = 0;
  const before = heldBytes();
  // One listener for all pieces: each that waits for itself would leave one behind.
  await new Promise<void>((resolve) => {
    const send = (): void => {
      while (sent++ < 1600 && !socket.destroyed) if (!socket.write(piece)) return;
      resolve();
    };
    socket.on('drain', send).once('close', resolve);
    send();
  });
  await until(() => answer.includes('body_too_large'));
  assert.match(answer, /^HTTP\/1\.1 413 /);
  const grown = heldBytes() - before;
  assert.ok(grown < 20 * 1024 * 1024, `${grown} bytes more, ${sent} pieces sent`);
});

test('forged headers reach neither the engine nor the placement', async (t) => {
  const stubs = [
    await startStub(t, (_request, response) => response.end('{}')),
    await startStub(t, (_request, response) => response.end('{}')),
  ];
  const config = (scorers: string): string =>
    `apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins: [{type: session-affinity-scorer}, {type: max-score-picker}]\nschedulingProfiles: [{name: decode, plugins: [${scorers}{pluginRef: max-score-picker}]}]\n`;
  const gateway = await startTestGateway(
    t,
    stubs.map(({ url }) => url),
    {
      policy: { environment: {}, configText: config('{pluginRef: session-affinity-scorer}, ') },
    },
  );
  const ask = (headers: Record<string, string>): Promise<Response> =>
    postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', kv_transfer_params: { a: 1 } }, { headers });
  const forged = {
    'x-prefiller-url': 'http://10.0.0.1',
    'x-signalbox-endpoint': 'x',
    'x-gateway-destination-endpoint': 'x',
  };
  const first = await ask({ ...forged, 'x-request-id': 'mine-1' });
  assert.equal(first.headers.get('x-request-id'), 'mine-1');
  const seen = [...stubs[0]!.requests, ...stubs[1]!.requests][0]!;
  assert.equal(seen.headers['x-request-id'], 'mine-1');
  for (const name of Object.keys(forged)) assert.equal(seen.headers[name], undefined);
  assert.deepEqual(JSON.parse(seen.body), { model, prompt: 'x' });

  const token = first.headers.get('x-session-token')!;
  const home = first.headers.get('x-signalbox-endpoint')!;
  for (let i = 0; i < 8; i++) {
    const again = await ask({ 'x-session-token': token });
    assert.equal(again.headers.get('x-signalbox-endpoint'), home);
  }
  const forgedToken = `${token.split('.')[0]}.${Buffer.alloc(32).toString('base64url')}`;
  const homes = new Set<string>();
  for (let i = 0; i < 40; i++)
    homes.add((await ask({ 'x-session-token': forgedToken })).headers.get('x-signalbox-endpoint')!);
  assert.equal(homes.size, 2);
});

test('other paths under /v1 pass through as they are', async (t) => {
  const stub = await startStub(t, (request, response, body) =>
    response.end(`${request.method} ${request.url} ${body}`),
  );
  const gateway = await startTestGateway(t, [stub.url]);
  const form = await fetch(`${gateway.url}/v1/audio/transcriptions?a=b%20c`, { method: 'POST', body: 'raw bytes' });
  assert.equal(await form.text(), 'POST /v1/audio/transcriptions?a=b%20c raw bytes');
  assert.equal(form.headers.get('x-signalbox-endpoint'), stub.name);
  assert.equal(await (await fetch(`${gateway.url}/v1/anything`)).text(), 'GET /v1/anything ');
});

test('a taken port is said plainly', async (t) => {
  const engine = await startEngine(t);
  const options = { endpoints: [engine.url], policy: { environment: {} }, log: silent };
  const gateway = await startTestGateway(t, [engine.url]);
  await assert.rejects(startGateway({ ...options, port: gateway.port, adminPort: 0 }), {
    message: `port ${gateway.port} is taken on 127.0.0.1; use --port to choose another`,
  });
  await assert.rejects(startGateway({ ...options, port: 0, adminPort: gateway.adminPort }), {
    message: /--admin-port/,
  });
});

test('endpoints come and go with their file; a bad file changes nothing', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'endpoints.json');
  const engines = [await startEngine(t), await startEngine(t)];
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const list = (count: number, ready = true): string =>
    JSON.stringify({
      endpoints: engines
        .slice(0, count)
        .map(({ port }, index) => ({ name: `pod-${index}`, address: `127.0.0.1:${port}`, ready })),
    });
  write(list(1));
  const gateway = await startTestGateway(t, [], { endpointsFile: file });
  const ready = async (): Promise<string[]> => {
    const all = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { name: string; ready: boolean }[];
    return all.filter((endpoint) => endpoint.ready).map(({ name }) => name);
  };
  await until(async () => (await ready()).length === 1);
  write(list(2));
  await until(async () => (await ready()).length === 2);
  write('{"endpoints": [{"nmae": 1}]}');
  await assert.rejects(gateway.reload(), /endpoints\.json/);
  assert.deepEqual(await ready(), ['pod-0', 'pod-1']);
  write(list(2, false));
  await until(async () => (await ready()).length === 0);
  assert.equal((await fetch(`${gateway.url}/readyz`)).status, 503);
});

test('a policy is replaced by reload when it validates, and only then', async (t) => {
  const engine = await startEngine(t);
  const file = join(temporaryFolder(t), 'policy.yaml');
  const policy = (weight: number, plugin = 'load-aware-scorer'): string =>
    `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: ${plugin}
schedulingProfiles:
  - name: decode
    plugins:
      - pluginRef: load-aware-scorer
        weight: ${weight}
`;
  writeFileSync(file, policy(1));
  const gateway = await startTestGateway(t, [engine.url], { policy: { environment: {}, configFile: file } });
  const reload = (): Promise<Response> => fetch(`${gateway.adminUrl}/api/reload`, { method: 'POST' });
  const now = async (): Promise<PoliciesJson> =>
    (await (await fetch(`${gateway.adminUrl}/api/policies`)).json()) as PoliciesJson;
  const first = await now();
  assert.equal(first.lastReload, null);
  writeFileSync(file, policy(1, 'load-awaer-scorer'));
  const refused = await reload();
  assert.equal(refused.status, 400);
  assert.match(((await refused.json()) as ErrorJson).error.message, /policy\.yaml:4:\d+.*load-aware-scorer/s);
  const kept = await now();
  assert.deepEqual({ ...kept, lastReload: null }, first);
  assert.equal(kept.lastReload?.outcome, 'rejected');
  writeFileSync(file, policy(3));
  assert.equal((await reload()).status, 200);
  assert.notEqual((await now()).hash, first.hash);
  await assert.rejects(
    startGateway({ policy: { environment: {}, configFile: `${file}.none` }, log: silent }),
    /policy\.yaml\.none/,
  );
});

test('draining lets streams finish and turns readiness off', async (t) => {
  let finish = (): void => undefined;
  const stub = await startStub(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"choices":[{"text":"a"}]}\n\n');
    finish = () => response.end('data: [DONE]\n\n');
  });
  const gateway = await startTestGateway(t, [stub.url]);
  const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', stream: true });
  const closed = gateway.close();
  await assert.rejects(fetch(`${gateway.url}/healthz`));
  assert.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 503);
  finish();
  assert.equal(await response.text(), 'data: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n');
  await closed;
});

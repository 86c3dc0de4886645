import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTlsServer, request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { connectorNamed, type ConnectorName } from '../../src/disaggregation/connectors/index.ts';
import { selfSignedCertificate } from '../../src/proxy/certificate.ts';
import { startSidecar } from '../../src/sidecar/sidecar.ts';
import { postJson, silent, startStub } from '../support/fleet-under-test.ts';
import { addressOf } from '../support/split-fleet.ts';

type Options = Partial<Parameters<typeof startSidecar>[0]>;
type Body = Record<string, unknown>;

const prompt = {
  model: 'm',
  prompt: 'a prompt',
  max_tokens: 9,
  min_tokens: 3,
  stream_options: { include_usage: true },
};

/** An engine that answers with `answer` and keeps what it was sent. */
async function engine(t: TestContext, answer: object = {}, status = 200) {
  const stub = await startStub(t, (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  const bodies = (): Body[] => stub.requests.map(({ body }) => JSON.parse(body) as Body);
  return { ...stub, bodies };
}

async function sidecarBefore(t: TestContext, decode: { url: string }, connector: ConnectorName, options: Options = {}) {
  const enginePort = Number(new URL(decode.url).port);
  const sidecar = await startSidecar({
    port: 0,
    enginePort,
    connector: connectorNamed(connector),
    log: silent,
    ...options,
  });
  t.after(() => sidecar.close(0));
  return `http://127.0.0.1:${sidecar.port}`;
}

/** A prefill and a decode engine with a sidecar between; `ask` sends a request that names prefill. */
async function pair(t: TestContext, connector: ConnectorName, answer: object = {}, options: Options = {}) {
  const prefill = await engine(t, answer);
  const decode = await engine(t);
  const url = await sidecarBefore(t, decode, connector, { pool: { prefillEndpoints: [prefill.name] }, ...options });
  const ask = (body: object, path = '/v1/completions', headers: Record<string, string> = {}): Promise<Response> =>
    postJson(url + path, body, { headers: { 'x-prefiller-host-port': prefill.name, ...headers } });
  return { prefill, decode, url, ask };
}

const params = {
  do_remote_prefill: true,
  do_remote_decode: false,
  remote_block_ids: [[1, 2]],
  remote_engine_id: 'e',
  remote_host: '10.0.0.1',
  remote_port: 5600,
  unknown: { kept: [1] },
};

test('nixlv2: prefill is asked for one token, whole; decode gets what prefill said, byte for byte', async (t) => {
  const { prefill, decode, ask } = await pair(t, 'nixlv2', { kv_transfer_params: params });
  assert.equal((await ask({ ...prompt, stream: true }, '/v1/completions', { 'x-request-id': 'one' })).status, 200);
  const { kv_transfer_params: asked, ...rest } = prefill.bodies()[0]!;
  assert.deepEqual(rest, { model: 'm', prompt: 'a prompt', stream: false, max_tokens: 1, min_tokens: 1 });
  assert.deepEqual(asked, {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_block_ids: null,
    remote_host: null,
    remote_port: null,
  });
  assert.deepEqual(decode.bodies()[0], { ...prompt, stream: true, kv_transfer_params: params });
  assert.deepEqual(
    [prefill, decode].map(({ requests }) => requests[0]!.headers['x-request-id']),
    ['one', 'one'],
  );
});

test('the output bound is capped in every spelling', async (t) => {
  for (const [path, bounds, capped] of [
    ['/v1/chat/completions', { max_completion_tokens: 50 }, { max_tokens: 1, max_completion_tokens: 1 }],
    ['/v1/chat/completions', { max_tokens: 50 }, { max_tokens: 1, max_completion_tokens: 1 }],
    ['/v1/responses', { max_output_tokens: 50 }, { max_output_tokens: 1 }],
    ['/v1/messages', { max_tokens: 50 }, { max_tokens: 1 }],
    [
      '/inference/v1/generate',
      { sampling_params: { max_tokens: 50, top_k: 3 } },
      { sampling_params: { max_tokens: 1, min_tokens: 1, top_k: 3 } },
    ],
  ] as const) {
    const { prefill, ask } = await pair(t, 'lmcache');
    await ask({ ...bounds, token_ids: [1] }, path);
    const { stream: _stream, min_tokens: _least, token_ids: _ids, ...rest } = prefill.bodies()[0]!;
    assert.deepEqual([rest, _stream], [capped, false], path);
    assert.ok(_least === 1 || path.endsWith('generate'));
    assert.deepEqual(_ids, [1]);
  }
});

test('nixlv2: with nothing or too little handed over, decode computes the prompt', async (t) => {
  const { remote_host: _host, ...incomplete } = params;
  assert.equal(_host, '10.0.0.1');
  for (const answer of [
    {},
    { kv_transfer_params: null },
    { kv_transfer_params: incomplete },
    { kv_transfer_params: 'x' },
  ]) {
    const { decode, ask } = await pair(t, 'nixlv2', answer);
    await ask(prompt);
    assert.deepEqual(decode.bodies(), [prompt]);
  }
});

test('nixl, the older: parameters at the top of both bodies', async (t) => {
  const { remote_block_ids, remote_engine_id, remote_host, remote_port } = params;
  const handed = { remote_block_ids, remote_engine_id, remote_host, remote_port };
  const { prefill, decode, ask } = await pair(t, 'nixl', handed);
  await ask(prompt);
  assert.equal(prefill.bodies()[0]!['do_remote_decode'], true);
  assert.deepEqual(decode.bodies(), [{ ...prompt, do_remote_prefill: true, ...handed }]);
});

test('lmcache and shared-storage: prefill first, then the request as it came', async (t) => {
  for (const connector of ['lmcache', 'shared-storage'] as const) {
    const { prefill, decode, ask } = await pair(t, connector);
    await ask({ ...prompt, cache_hit_threshold: 0.5 });
    assert.equal(prefill.bodies()[0]!['max_tokens'], 1);
    assert.deepEqual(decode.bodies(), [prompt]);
  }
});

test('sglang: both at once, in one room of the prefill engine', async (t) => {
  const { prefill, decode, ask } = await pair(t, 'sglang');
  await ask(prompt);
  const [first, second] = [prefill.bodies()[0]!, decode.bodies()[0]!];
  assert.deepEqual(first, second);
  assert.deepEqual([first['bootstrap_host'], first['bootstrap_port']], ['127.0.0.1', 8998]);
  assert.equal(typeof first['bootstrap_room'], 'number');
  await ask(prompt);
  assert.notEqual(prefill.bodies()[1]!['bootstrap_room'], first['bootstrap_room']);
});

test('sglang: decode waits for nobody when prefill fails', async (t) => {
  const prefill = await engine(t, {}, 500);
  let asked = 0;
  const decode = await startStub(t, (_request, response, body) => {
    asked += 1;
    // as an engine that waits in a room to which nobody comes
    if (!body.includes('bootstrap_room')) response.end('{}');
  });
  const url = await sidecarBefore(t, decode, 'sglang', { pool: { prefillEndpoints: [prefill.name] } });
  const response = await postJson(`${url}/v1/completions`, prompt, {
    headers: { 'x-prefiller-host-port': prefill.name },
  });
  assert.equal(response.status, 200);
  assert.equal(asked, 2);
});

test('mooncake: decode is told of prefill’s engine, both of one transfer', async (t) => {
  const prefill = await engine(t);
  const decode = await engine(t);
  const bootstrap = createServer((request, response) => {
    response.end(request.url === '/query' ? '{"0":{"engine_id":"engine-0"}}' : '{}');
  });
  await new Promise<void>((ok) => bootstrap.listen(0, '127.0.0.1', ok));
  t.after(() => bootstrap.close());
  const { port } = bootstrap.address() as AddressInfo;
  const sidecar = await startSidecar({
    port: 0,
    enginePort: Number(new URL(decode.url).port),
    connector: connectorNamed('mooncake', port),
    pool: { prefillEndpoints: [prefill.name] },
    log: silent,
  });
  t.after(() => sidecar.close(0));
  const headers = { 'x-prefiller-host-port': prefill.name };
  await postJson(`http://127.0.0.1:${sidecar.port}/v1/completions`, prompt, { headers });
  const [first, second] = [prefill.bodies()[0]!, decode.bodies()[0]!].map((body) => body['kv_transfer_params'] as Body);
  assert.equal(first!['transfer_id'], second!['transfer_id']);
  assert.deepEqual(
    [second!['remote_engine_id'], second!['remote_bootstrap_addr'], second!['do_remote_prefill']],
    ['engine-0', `http://127.0.0.1:${port}`, true],
  );
  assert.equal(prefill.requests[0]!.headers['x-data-parallel-rank'], '0');
});

test('nothing outside the pool is ever asked, address and port; the request is answered all the same', async (t) => {
  const { prefill, decode, url } = await pair(t, 'nixlv2', { kv_transfer_params: params });
  const inside = await engine(t);
  const port = inside.name.split(':')[1]!;
  for (const target of [
    inside.name,
    `${prefill.name}@${inside.name}`,
    `${inside.name}/`,
    `${prefill.name}#@${inside.name}`,
    `localhost:${prefill.name.split(':')[1]}`,
    `[::ffff:127.0.0.1]:${port}`,
    `2130706433:${port}`,
    `http://${inside.name}/v1/completions?x=`,
    '',
    ':::',
    'a'.repeat(3000),
  ]) {
    const response = await postJson(`${url}/v1/completions`, prompt, { headers: { 'x-prefiller-host-port': target } });
    assert.equal(response.status, 200, target);
  }
  const old = await postJson(`${url}/v1/completions`, prompt, { headers: { 'x-prefiller-url': inside.url } });
  assert.match(old.headers.get('x-signalbox-prefill')!, /not an endpoint of this pool/);
  assert.deepEqual([inside.requests.length, prefill.requests.length], [0, 0]);
  assert.ok(decode.bodies().every((body) => body['kv_transfer_params'] === undefined));
});

test('without a pool no prompt leaves', async (t) => {
  const prefill = await engine(t);
  const url = await sidecarBefore(t, await engine(t), 'nixlv2');
  const headers = { 'x-prefiller-host-port': prefill.name };
  assert.equal((await postJson(`${url}/v1/completions`, prompt, { headers })).status, 200);
  assert.equal(prefill.requests.length, 0);
});

test('IPv6 addresses and the older header', async (t) => {
  const seen: string[] = [];
  const prefill = createServer((request, response) => {
    seen.push(request.url!);
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((ok) => prefill.listen(0, '::1', ok));
  t.after(() => prefill.close());
  const { port } = prefill.address() as AddressInfo;
  const url = await sidecarBefore(t, await engine(t), 'nixlv2', { pool: { prefillEndpoints: [`[::1]:${port}`] } });
  for (const [name, value] of [
    ['x-prefiller-host-port', `[0:0:0:0:0:0:0:1]:${port}`],
    ['x-prefiller-url', `http://[::1]:${port}`],
  ] as const) {
    await postJson(`${url}/v1/completions`, prompt, { headers: { [name]: value } });
  }
  assert.equal(seen.length, 2);
});

test('a hung prefill is given up, another tried, then decode computes the prompt', async (t) => {
  const hung = [await startStub(t, () => undefined), await startStub(t, () => undefined)];
  const decode = await engine(t);
  const prefillEndpoints = hung.map(({ name }) => name);
  const url = await sidecarBefore(t, decode, 'nixlv2', { pool: { prefillEndpoints }, prefillPatienceMs: 50 });
  const headers = { 'x-prefiller-host-port': prefillEndpoints.join(',') };
  const response = await postJson(`${url}/v1/completions`, prompt, { headers });
  assert.equal(response.status, 200);
  const report = JSON.parse(response.headers.get('x-signalbox-prefill')!) as { attempts: { failure: string }[] };
  assert.deepEqual(
    report.attempts.map(({ failure }) => failure),
    ['timeout', 'timeout'],
  );
  assert.deepEqual(decode.bodies(), [prompt]);
});

test('what a client says of transfers is removed on every route', async (t) => {
  const decode = await engine(t);
  const url = await sidecarBefore(t, decode, 'nixlv2');
  const forged = { kv_transfer_params: { do_remote_prefill: true }, ec_transfer_params: {}, bootstrap_room: 1 };
  for (const path of ['/v1/completions', '/inference/v1/generate', '/v1/whatever']) {
    await postJson(url + path, { ...prompt, ...forged, vllm_xargs: { kv_transfer_params: 1 } });
  }
  assert.deepEqual(
    decode.bodies(),
    [1, 2, 3].map(() => ({ ...prompt, vllm_xargs: {} })),
  );
  await postJson(`${url}/v1/completions`, 'not json');
  assert.equal(decode.requests.at(-1)!.body, 'not json');
});

test('data-parallel ranks: a port for each, in step with the engine’s', async (t) => {
  const answers: string[] = [];
  const rank = async (port: number): Promise<number> => {
    const server = createServer((request, response) => {
      answers.push(`${(server.address() as AddressInfo).port}`);
      request.resume().on('end', () => response.end('{}'));
    });
    await new Promise<void>((ok, fail) => server.once('error', fail).listen(port, '127.0.0.1', ok));
    t.after(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  let first = 0;
  for (let tries = 0; first === 0 && tries < 50; tries++) {
    const port = await rank(0);
    if (await rank(port + 1).catch(() => 0)) first = port;
  }
  assert.ok(first > 0, 'two ports in a row');
  const base = 20_000 + (process.pid % 20_000);
  let sidecar: Awaited<ReturnType<typeof startSidecar>> | null = null;
  for (let port = base; sidecar === null && port < base + 200; port += 2) {
    sidecar = await startSidecar({ port, enginePort: first, connector: null, ranks: 2, log: silent }).catch(() => null);
  }
  assert.ok(sidecar !== null);
  t.after(() => sidecar!.close(0));
  for (const each of [0, 1]) await postJson(`http://127.0.0.1:${sidecar.port + each}/v1/completions`, prompt);
  assert.deepEqual(answers, [`${first}`, `${first + 1}`]);
});

test('TLS on all three sides, with certificates checked where asked', async (t) => {
  const certificate = selfSignedCertificate(Date.now());
  const seen: string[] = [];
  const engineOf = async (name: string): Promise<string> => {
    const server = createTlsServer(certificate, (request, response) => {
      seen.push(name);
      request.resume().on('end', () => response.end('{}'));
    });
    await new Promise<void>((ok) => server.listen(0, '127.0.0.1', ok));
    t.after(() => server.close());
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const [prefill, decode] = [await engineOf('prefill'), await engineOf('decode')];
  const ask = async (verifies: boolean): Promise<number | undefined> => {
    const sidecar = await startSidecar({
      port: 0,
      enginePort: Number(new URL(decode).port),
      connector: connectorNamed('nixlv2'),
      pool: { prefillEndpoints: [addressOf(prefill)] },
      certificate,
      prefillSecurity: { verifies },
      decodeSecurity: { verifies: false },
      log: silent,
    });
    t.after(() => sidecar.close(0));
    const headers = { 'content-type': 'application/json', 'x-prefiller-host-port': addressOf(prefill) };
    return new Promise((ok, fail) => {
      const options = { host: '127.0.0.1', port: sidecar.port, path: '/v1/completions', method: 'POST', headers };
      const request = tlsRequest({ ...options, rejectUnauthorized: false }, (response) => {
        response.resume().on('end', () => ok(response.statusCode));
      });
      request.on('error', fail).end(JSON.stringify(prompt));
    });
  };
  assert.equal(await ask(false), 200);
  assert.deepEqual(seen.splice(0), ['prefill', 'decode']);
  assert.equal(await ask(true), 200, 'nobody we know signed for prefill, so decode does both');
  assert.deepEqual(seen, ['decode']);
});

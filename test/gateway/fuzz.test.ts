import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { heldBytes } from '../support/memory.ts';
import { model, postJson, startStub, startTestGateway } from '../support/fleet-under-test.ts';

/** Writes bytes as they are, in pieces, and gives what came back until the connection ended or was silent for long. */
function raw(port: number, pieces: readonly string[], limitMs = 2500): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => {
      for (const piece of pieces) socket.write(Buffer.from(piece, 'latin1'));
    });
    const over = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(over, limitMs);
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    socket.on('error', over).on('close', over);
  });
}

const inner = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
const body = JSON.stringify({ model, prompt: 'x' });
const head = (headers: string, path = '/v1/completions'): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;

test('a request inside a request reaches no engine', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end('{}'));
  const gateway = await startTestGateway(t, [stub.url]);
  const smuggled = inner('/v1/smuggled');
  const chunked = `0\r\n\r\n${smuggled}`;
  const tries = [
    head(`content-length: ${chunked.length}\r\ntransfer-encoding: chunked\r\n`) + chunked,
    head(`transfer-encoding: chunked\r\ncontent-length: 4\r\n`) + chunked,
    head(`transfer-encoding: xchunked\r\n`) + chunked,
    head(`transfer-encoding: chunked, identity\r\n`) + chunked,
    head(`transfer-encoding: identity\r\ncontent-length: 0\r\n`) + smuggled,
    head(`transfer-encoding:\tchunked\r\ncontent-length: 5\r\n`) + chunked,
    head(`transfer-encoding : chunked\r\n`) + chunked,
    head(` transfer-encoding: chunked\r\n`) + chunked,
    head(`x: y\r\n transfer-encoding: chunked\r\n`) + chunked,
    head(`x: y\ntransfer-encoding: chunked\r\n`) + chunked,
    head(`content-length: 0\r\ncontent-length: ${smuggled.length}\r\n`) + smuggled,
    head(`content-length: 0, ${smuggled.length}\r\n`) + smuggled,
    head(`content-length: +0\r\n`) + smuggled,
    head(`content-length: 0x0\r\n`) + smuggled,
    head(`content-length: -1\r\n`) + smuggled,
    head(`transfer-encoding: chunked\r\n`) + `0x5\r\nhello\r\n${chunked}`,
    head(`transfer-encoding: chunked\r\n`) + `5;\r\nhello\n0\r\n\r\n${smuggled}`,
    head(`transfer-encoding: chunked\r\n`) + `ffffffffffffffff5\r\nhello\r\n${chunked}`,
    head(`transfer-encoding: chunked\r\n`) + `-5\r\nhello\r\n${chunked}`,
    head(`connection: transfer-encoding\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n`) + chunked,
  ];
  const answers = await Promise.all(tries.map((text) => raw(gateway.port, [text])));
  for (const [at, answer] of answers.entries()) {
    assert.doesNotMatch(answer, /HTTP\/1\.1 2\d\d/, `try ${at} was served: ${JSON.stringify(tries[at])}`);
  }
  assert.deepEqual(stub.requests, []);
  assert.equal((await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x' })).status, 200);
});

test('no header and no body sends a request anywhere but to an endpoint', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end('{}'));
  const elsewhere = await startStub(t, (_request, response) => response.end('{}'), ['/metrics', '/health']);
  const gateway = await startTestGateway(t, [stub.url]);
  const { name } = elsewhere;
  const length = `content-length: ${body.length}\r\n`;
  await Promise.all([
    raw(gateway.port, [`GET ${elsewhere.url}/v1/x HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`]),
    raw(gateway.port, [`CONNECT ${name} HTTP/1.1\r\nhost: ${name}\r\n\r\n`]),
    raw(gateway.port, [`GET //${name}/v1/x HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`]),
    raw(gateway.port, [`GET /v1/@${name}/x HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`]),
    raw(gateway.port, [head(`upgrade: h2c\r\nconnection: upgrade\r\n${length}`) + body]),
    ...['host', 'forwarded', 'x-forwarded-host', 'x-original-url', 'x-rewrite-url', 'x-envoy-original-dst-host'].map(
      (header) =>
        raw(gateway.port, [
          `POST /v1/completions HTTP/1.1\r\n${header}: ${name}\r\nconnection: close\r\n${length}\r\n${body}`,
        ]),
    ),
    ...['x-prefiller-url', 'x-prefiller-host-port', 'x-data-parallel-host-port', 'x-gateway-destination-endpoint'].map(
      (header) => raw(gateway.port, [head(`${header}: ${elsewhere.url}\r\nconnection: close\r\n${length}`) + body]),
    ),
  ]);
  const steering = { remote_host: '127.0.0.1', remote_port: Number(name.split(':')[1]), remote_engine_id: 'x' };
  await postJson(`${gateway.url}/v1/completions`, {
    ...{ model, prompt: 'x', kv_transfer_params: { do_remote_prefill: true, ...steering } },
    ...{ bootstrap_host: '127.0.0.1', bootstrap_port: steering.remote_port, bootstrap_room: 1 },
  });
  assert.deepEqual(elsewhere.requests, []);
  assert.ok(stub.requests.length > 0);
  for (const { body: sent, headers } of stub.requests) {
    assert.doesNotMatch(sent, /remote_|bootstrap_/);
    assert.equal(headers.host, stub.name);
  }
});

test('whatever bytes come, both ports go on, and nothing stays in memory', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end('{}'));
  const gateway = await startTestGateway(t, [stub.url], { maxBodyBytes: 64 * 1024 });
  const routes = [
    ...['/healthz', '/readyz', '/metrics', '/', '/api/endpoints', '/api/decisions', '/api/decisions/x', '/api/explain'],
    ...['/api/prefixes', '/api/policies', '/api/shadow', '/api/keys', '/api/sharing', '/api/admission', '/api/series'],
    ...[
      '/api/reload',
      '/v1/completions',
      '/v1/chat/completions',
      '/v1/embeddings',
      '/v1/models',
      '/v1/models/%',
      '/v1/x',
    ],
  ];
  const nasty = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom(
      '%00',
      '%',
      '../'.repeat(50),
      "'",
      '{"a":',
      '[[[[',
      '\u0000',
      '1e999',
      '-1',
      'NaN',
      'x'.repeat(5000),
    ),
    fc.json(),
  );
  const wild = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'get', 'BREW'),
    path: fc.constantFrom(...routes),
    query: fc.oneof(
      fc.constant(''),
      fc
        .tuple(fc.constantFrom('limit', 'after', 'before', 'kind', 'flips', 'brief'), nasty)
        .map(([name, value]) => `?${name}=${encodeURIComponent(value.toWellFormed())}`),
      nasty.map((text) => `?${text.replace(/[\r\n ]/g, '')}`),
    ),
    headers: fc.array(
      fc.tuple(
        fc.constantFrom(
          'host',
          'origin',
          'content-type',
          'x-request-id',
          'authorization',
          'accept',
          'range',
          'x-slo-ttft-ms',
          'x-session-token',
          'traceparent',
        ),
        nasty,
      ),
      { maxLength: 4 },
    ),
    body: fc.oneof(nasty, fc.constant(body), fc.constant('x'.repeat(100_000))),
    isCut: fc.boolean(),
    isAdmin: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(wild, { minLength: 8, maxLength: 8 }), async (requests) => {
      await Promise.all(
        requests.map(({ method, path, query, headers, body: sent, isCut, isAdmin }) => {
          const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
          const host = headers.some(([name]) => name === 'host') ? '' : 'host: 127.0.0.1\r\n';
          const length = Buffer.from(sent, 'latin1').length + (isCut ? 10 : 0);
          const text = `${method} ${path}${query} HTTP/1.1\r\n${host}${lines}connection: close\r\ncontent-length: ${length}\r\n\r\n${sent}`;
          return raw(isAdmin ? gateway.adminPort : gateway.port, [text], isCut || path === '/api/events' ? 50 : 2500);
        }),
      );
    }),
    { numRuns: 60 },
  );
  const before = heldBytes();
  for (let round = 0; round < 20; round++) {
    const junk = Array.from({ length: 20 }, (_, at) =>
      raw(at % 2 ? gateway.port : gateway.adminPort, ['\u0016\u0003\u0001'.repeat(1000)], 500),
    );
    await Promise.all(junk);
  }
  const large = `GET /v1/models HTTP/1.1\r\nhost: x\r\n${`x-a: ${'y'.repeat(1000)}\r\n`.repeat(200)}\r\n`;
  for (const answer of await Promise.all([raw(gateway.port, [large]), raw(gateway.adminPort, [large])])) {
    assert.match(answer, /^HTTP\/1\.1 431 /);
  }
  const grown = heldBytes() - before;
  assert.ok(grown < 30 * 1024 * 1024, `${grown} bytes more`);
  assert.equal((await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x' })).status, 200);
  const admission = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { inFlight: number }[];
  assert.deepEqual(
    admission.map(({ inFlight }) => inFlight),
    [0],
  );
});

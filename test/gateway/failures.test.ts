import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { model, postJson, startEngine, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';

const ok = JSON.stringify({ object: 'text_completion', choices: [{ text: 'fine' }], usage: { prompt_tokens: 3 } });
const body = { model, prompt: 'x', max_tokens: 4 };

interface EndpointJson {
  name: string;
  ready: boolean;
  inFlight: number;
  queuedPrefillTokens: number;
}

async function endpoints(adminUrl: string): Promise<EndpointJson[]> {
  return (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as EndpointJson[];
}

for (const status of [500, 503, 429]) {
  test(`an endpoint that only answers ${status} is never seen by clients while another can serve`, async (t) => {
    const bad = await startStub(t, (_request, response) => response.writeHead(status).end('{"error":"no"}'));
    const good = await startStub(t, (_request, response) => response.end(ok));
    const gateway = await startTestGateway(t, [bad.url, good.url]);
    for (let i = 0; i < 20; i++) {
      const response = await postJson(`${gateway.url}/v1/completions`, body);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('x-signalbox-endpoint'), good.name);
    }
    assert.ok(bad.requests.length > 0);
    await until(async () => (await endpoints(gateway.adminUrl)).every((each) => each.inFlight === 0));
  });
}

test('when all are busy the last answer is passed on with Retry-After', async (t) => {
  const busy = await startStub(t, (_request, response) => response.writeHead(503).end('{"error":"full"}'));
  const gateway = await startTestGateway(t, [busy.url]);
  const response = await postJson(`${gateway.url}/v1/completions`, body);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.equal(await response.text(), '{"error":"full"}');
});

test("the client's own mistakes come back as the engine put them, untried elsewhere", async (t) => {
  const mistake = '{"error":{"message":"too long"}}';
  const stubs = [
    await startStub(t, (_request, response) => response.writeHead(400).end(mistake)),
    await startStub(t, (_request, response) => response.writeHead(400).end(mistake)),
  ];
  const gateway = await startTestGateway(
    t,
    stubs.map(({ url }) => url),
  );
  const response = await postJson(`${gateway.url}/v1/completions`, body);
  assert.equal(response.status, 400);
  assert.equal(await response.text(), mistake);
  assert.equal(stubs[0]!.requests.length + stubs[1]!.requests.length, 1);
});

test('an error as the first event of a stream is tried elsewhere; the head was not sent yet', async (t) => {
  const full = await startStub(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end('data: {"error":{"message":"queue full","code":503}}\n\ndata: [DONE]\n\n');
  });
  const good = await startStub(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end('data: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n');
  });
  // Both are idle at each request: by load alone, chance decides which is asked first.
  const policy = { environment: { ENABLE_LOAD_AWARE_SCORER: 'true' } };
  const gateway = await startTestGateway(t, [full.url, good.url], { policy });
  for (let i = 0; i < 20; i++) {
    const response = await postJson(`${gateway.url}/v1/completions`, { ...body, stream: true });
    assert.equal(response.headers.get('x-signalbox-endpoint'), good.name);
    assert.equal(await response.text(), 'data: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n');
  }
  assert.ok(full.requests.length > 0);

  const alone = await startTestGateway(t, [full.url]);
  const response = await postJson(`${alone.url}/v1/completions`, { ...body, stream: true });
  assert.equal(response.status, 503);
  assert.match(await response.text(), /queue full/);
});

test('a connection reset before the first byte is tried elsewhere', async (t) => {
  const bad = await startStub(t, (request) => request.socket.destroy());
  const good = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [bad.url, good.url]);
  for (let i = 0; i < 10; i++) assert.equal((await postJson(`${gateway.url}/v1/completions`, body)).status, 200);
});

test('a stream that breaks in the middle and is not gone on with ends with an error event', async (t) => {
  const stub = await startStub(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"choices":[{"text":"a"}]}\n\n', () => request.socket.destroy());
  });
  const gateway = await startTestGateway(t, [stub.url], { continuation: false });
  const response = await postJson(`${gateway.url}/v1/completions`, { ...body, stream: true });
  assert.equal(response.status, 200);
  const events = (await response.text()).split('\n\n').filter(Boolean);
  assert.equal(events[0], 'data: {"choices":[{"text":"a"}]}');
  const { error } = JSON.parse(events[1]!.slice(6)) as { error: { code: string; message: string } };
  assert.equal(error.code, 'endpoint_failed');
  assert.match(error.message, new RegExp(stub.name));
  assert.equal(events[2], 'data: [DONE]');
});

test('a dead engine is left at once and used again when it is back; with all gone the answer is a clear 503', async (t) => {
  const first = await startEngine(t);
  const second = await startEngine(t);
  const gateway = await startTestGateway(t, [first.url, second.url]);
  await first.close();
  for (let i = 0; i < 10; i++) {
    const response = await postJson(`${gateway.url}/v1/completions`, body);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-signalbox-endpoint'), `127.0.0.1:${second.port}`);
  }
  await second.close();
  const response = await postJson(`${gateway.url}/v1/completions`, body);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.match(await response.text(), /"code":"no_endpoint"/);
  await startEngine(t, { port: first.port });
  await until(async () => (await postJson(`${gateway.url}/v1/completions`, body)).status === 200);
});

for (const streaming of [false, true]) {
  test(`a client that leaves ${streaming ? 'a stream' : 'before its answer'} aborts the engine's work`, async (t) => {
    let left = false;
    const stub = await startStub(t, (_request, response) => {
      response.on('close', () => (left = true));
      if (!streaming) return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"choices":[{"text":"a"}]}\n\n');
    });
    const gateway = await startTestGateway(t, [stub.url]);
    const abort = new AbortController();
    const answer = postJson(`${gateway.url}/v1/completions`, { ...body, stream: streaming }, { signal: abort.signal });
    if (streaming) await (await answer).body!.getReader().read();
    else answer.catch(() => undefined);
    await until(() => stub.requests.length === 1);
    abort.abort();
    await until(() => left);
    await until(async () => (await endpoints(gateway.adminUrl)).every((each) => each.inFlight === 0));
    const [decision] = (await (await fetch(`${gateway.adminUrl}/api/decisions?limit=1`)).json()) as [
      { outcome: { status: number } },
    ];
    assert.equal(decision.outcome.status, 499);
  });
}

test('a client that leaves while it is held is taken off the queue, and no engine ever hears of it', async (t) => {
  const stub = await startStub(t, (_request, response) => response.writeHead(200, { 'content-type': 'text/plain' }));
  const gateway = await startTestGateway(t, [stub.url]);
  const held = async (): Promise<number> => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return Number(/^llm_d_epp_flow_control_queue_size\{.*\} (\d+)$/m.exec(text)![1]);
  };
  // So much prefill that nobody else's is begun for a while.
  const long = { ...body, prompt: 'a long prompt that keeps an engine busy '.repeat(40_000) };
  const first = new AbortController();
  postJson(`${gateway.url}/v1/completions`, long, { signal: first.signal }).catch(() => undefined);
  await until(() => stub.requests.length === 1);
  const second = new AbortController();
  postJson(`${gateway.url}/v1/completions`, body, { signal: second.signal }).catch(() => undefined);
  await until(async () => (await held()) === 1);
  second.abort();
  await until(async () => (await held()) === 0);
  first.abort();
  const third = new AbortController();
  postJson(`${gateway.url}/v1/completions`, { ...body, prompt: 'third' }, { signal: third.signal }).catch(
    () => undefined,
  );
  await until(() => stub.requests.length > 1);
  assert.match(stub.requests[1]!.body, /third/);
  third.abort();
});

test('a slow reader holds the engine back instead of filling memory', async (t) => {
  const piece = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  const stub = await startStub(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    const write = (): void => {
      while (written < 400 * piece.length && !response.destroyed) {
        written += piece.length;
        if (!response.write(piece)) {
          response.once('drain', write);
          return;
        }
      }
      response.end();
    };
    write();
  });
  const gateway = await startTestGateway(t, [stub.url]);
  const socket = connect(gateway.port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.pause();
  const text = JSON.stringify(body);
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
  await until(() => written > 0);
  // It settles once every buffer on the way is full.
  for (let before = -1; before !== written;) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  assert.ok(written < 300 * piece.length, `${written} bytes went out although nobody read`);
  socket.resume();
  await until(() => written === 400 * piece.length);
});

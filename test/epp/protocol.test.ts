import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { model, startEngine, startStub, until } from '../support/fleet-under-test.ts';
import {
  answerBody,
  answerHeaders,
  DataPlane,
  Health,
  headerMap,
  requestBody,
  requestHeaders,
  setHeaders,
  startTestEpp,
  type Message,
} from './wire-client.ts';

const body = JSON.stringify({ model, prompt: 'Say something.', max_tokens: 4 });
const destination = 'x-gateway-destination-endpoint';

/** google.protobuf.Value, as the client has it. */
const text = (value: string): Message => ({ stringValue: value });
const list = (...values: string[]): Message => ({ listValue: { values: values.map(text) } });
const metadata = (namespace: string, name: string, value: Message): Message => ({
  metadata_context: { filter_metadata: { [namespace]: { fields: { [name]: value } } } },
});
const subset = (value: Message): Message =>
  metadata('envoy.lb.subset_hint', 'x-gateway-destination-endpoint-subset', value);

interface Immediate {
  immediate_response: {
    status: { code: number };
    body: Buffer;
    headers: { set_headers: { header: { key: string; raw_value: Buffer } }[] };
  };
}

function immediate(message: Message): {
  status: number;
  body: { error: { code: string } };
  headers: Map<string, string>;
} {
  assert.ok('immediate_response' in message, JSON.stringify(message));
  const { status, body: sent, headers } = (message as unknown as Immediate).immediate_response;
  return {
    status: status.code,
    body: JSON.parse(sent.toString()) as { error: { code: string } },
    headers: new Map(headers.set_headers.map(({ header }) => [header.key, header.raw_value.toString()])),
  };
}

function streamed(message: Message, side: 'request_body' | 'response_body'): { body: Buffer; end_of_stream: boolean } {
  const { response } = message[side] as { response: { body_mutation: { streamed_response: Message } } };
  const { body: bytes, end_of_stream } = response.body_mutation.streamed_response;
  return { body: (bytes as Buffer | undefined) ?? Buffer.alloc(0), end_of_stream: end_of_stream === true };
}

async function idle(t: TestContext, count = 2, conformance = false) {
  const engines = await Promise.all(
    Array.from({ length: count }, () => startStub(t, (_request, response) => response.end())),
  );
  const epp = await startTestEpp(
    t,
    engines.map(({ url }) => url),
    { conformance },
  );
  return { epp, names: engines.map(({ name }) => name) };
}

async function outcome(adminUrl: string): Promise<Record<string, unknown>> {
  let found: Record<string, unknown> | null = null;
  await until(async () => {
    const [decision] = (await (await fetch(`${adminUrl}/api/decisions?limit=1`)).json()) as {
      outcome: Record<string, unknown> | null;
    }[];
    found = decision?.outcome ?? null;
    return found !== null;
  });
  return found!;
}

test('header and metadata name the same endpoints in order; the body comes back as it was', async (t) => {
  const { epp, names } = await idle(t);
  const plane = new DataPlane(t, epp.address);
  plane.send(
    requestHeaders({ 'x-llm-d-inference-objective': 'gold', 'x-gateway-inference-fairness-id': 'a' }),
    requestBody(body),
  );
  const headers = await plane.next();
  const named = setHeaders(headers, 'request_headers')[destination]!;
  assert.deepEqual(named.split(',').sort(), [...names].sort());
  const dynamic = headers['dynamic_metadata'] as {
    fields: Record<string, { structValue: { fields: Record<string, Message> } }>;
  };
  assert.equal(dynamic.fields['envoy.lb']!.structValue.fields[destination]!['stringValue'], named);
  const { response } = headers['request_headers'] as { response: Record<string, unknown> };
  assert.equal(response['clear_route_cache'], true);
  const removed = (response['header_mutation'] as { remove_headers: string[] }).remove_headers;
  assert.deepEqual(removed.sort(), ['x-gateway-inference-fairness-id', 'x-llm-d-inference-objective']);
  assert.equal(setHeaders(headers, 'request_headers')['content-length'], String(body.length));
  assert.deepEqual(streamed(await plane.next(), 'request_body'), { body: Buffer.from(body), end_of_stream: true });
});

test('bodies are cut into chunks that Envoy takes; a second end of the stream changes nothing', async (t) => {
  const { epp } = await idle(t, 1);
  const plane = new DataPlane(t, epp.address);
  const large = JSON.stringify({ model, prompt: 'word '.repeat(60_000) });
  plane.send(requestHeaders(), requestBody(large.slice(0, 100_000), false), requestBody(large.slice(100_000), true));
  plane.send(requestBody('', true));
  await plane.next();
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = streamed(await plane.next(), 'request_body');
    assert.ok(chunk.body.length <= 62_000);
    chunks.push(chunk.body);
    if (chunk.end_of_stream) break;
  }
  assert.equal(Buffer.concat(chunks).toString(), large);
  plane.send(answerHeaders(200, 'text/plain'), answerBody('x', true), answerBody('', true));
  assert.ok('response_headers' in (await plane.next()));
  assert.deepEqual(streamed(await plane.next(), 'response_body'), { body: Buffer.from('x'), end_of_stream: true });
  plane.stream.end();
  await until(() => plane.ended !== null);
  assert.equal(plane.ended!.code, 0);
  assert.deepEqual(plane.received, []);
});

test('with trailers the body does not end the stream', async (t) => {
  const { epp } = await idle(t, 1);
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders(), requestBody(body, false), { request_trailers: { trailers: headerMap({ a: 'b' }) } });
  await plane.next();
  assert.equal(streamed(await plane.next(), 'request_body').end_of_stream, false);
  assert.ok('request_trailers' in (await plane.next()));
  plane.send(answerHeaders(200, 'application/json'), answerBody('{}', false));
  plane.send({ response_trailers: { trailers: headerMap({}) } });
  await plane.next();
  assert.equal(streamed(await plane.next(), 'response_body').end_of_stream, false);
  assert.ok('response_trailers' in (await plane.next()));
  assert.equal((await outcome(epp.adminUrl))['status'], 200);
});

test('a request without a body is placed by load', async (t) => {
  const { epp, names } = await idle(t);
  const plane = new DataPlane(t, epp.address);
  const headers = headerMap({ ':method': 'GET', ':path': '/v1/models', ':authority': 'pool' });
  plane.send({ request_headers: { headers, end_of_stream: true } });
  const [first] = setHeaders(await plane.next(), 'request_headers')[destination]!.split(',');
  assert.ok(names.includes(first!));
});

test('a subset is kept to: a list, commas, an address without its port', async (t) => {
  const { epp, names } = await idle(t, 3);
  const allowed = [names[1]!, names[2]!];
  for (const hint of [list(...allowed), text(allowed.join(', '))]) {
    const plane = new DataPlane(t, epp.address);
    plane.send(requestHeaders({}, subset(hint)), requestBody(body));
    const named = setHeaders(await plane.next(), 'request_headers')[destination]!;
    assert.deepEqual(named.split(',').sort(), [...allowed].sort());
  }
  const whole = new DataPlane(t, epp.address);
  whole.send(requestHeaders({}, subset(list('127.0.0.1'))), requestBody(body));
  const named = setHeaders(await whole.next(), 'request_headers')[destination]!;
  assert.deepEqual(named.split(',').sort(), [...names].sort());
});

test('an empty subset, or one of other pools, is a 503 with its reason', async (t) => {
  const { epp } = await idle(t);
  for (const hint of [list(), list('10.1.2.3:8000')]) {
    const plane = new DataPlane(t, epp.address);
    plane.send(requestHeaders({}, subset(hint)), requestBody(body));
    const refused = immediate(await plane.next());
    assert.equal(refused.status, 503);
    assert.equal(refused.body.error.code, 'no_endpoint');
    assert.equal(refused.headers.get('x-llm-d-request-dropped-reason'), 'rejected-no-endpoints');
  }
});

test("a client's header chooses nothing, unless conformance is asked for", async (t) => {
  const { epp } = await idle(t);
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders({ 'test-epp-endpoint-selection': '10.1.2.3:8000' }), requestBody(body));
  assert.ok(setHeaders(await plane.next(), 'request_headers')[destination]);
});

test("the conformance tests' header chooses; who served is told back", async (t) => {
  const { epp, names } = await idle(t, 3, true);
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders({ 'test-epp-endpoint-selection': names[2]! }), requestBody(body));
  assert.equal(setHeaders(await plane.next(), 'request_headers')[destination], names[2]);
  await plane.next();
  const served = metadata('envoy.lb', 'x-gateway-destination-endpoint-served', text(names[2]!));
  plane.send(answerHeaders(200, 'application/json', served), answerBody('{}', true));
  assert.equal(setHeaders(await plane.next(), 'response_headers')['x-conformance-test-served-endpoint'], names[2]);
});

test("after the data plane's own retry the answer counts for who served it", async (t) => {
  const { epp } = await idle(t);
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders(), requestBody(body));
  const [picked, fallback] = setHeaders(await plane.next(), 'request_headers')[destination]!.split(',');
  await plane.next();
  const served = metadata('envoy.lb', 'x-gateway-destination-endpoint-served', text(fallback!));
  plane.send(answerHeaders(200, 'application/json', served), answerBody('{}', true));
  const set = setHeaders(await plane.next(), 'response_headers');
  assert.equal(set['x-signalbox-endpoint'], fallback);
  assert.match(set['x-signalbox-reason']!, new RegExp(`retried after ${picked}`));
  assert.equal((await outcome(epp.adminUrl))['endpoint'], fallback);
});

test('what an answer says of itself is read from documents and observed streams, and not made up for others', async (t) => {
  const engine = await startStub(t, (_request, response) => response.end());
  const usage = { prompt_tokens: 7, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 5 } };
  const document = JSON.stringify({ choices: [{ index: 0, text: 'a b' }], usage });
  const events = `data: {"choices":[{"index":0,"text":"a"}]}\n\ndata: ${document}\n\ndata: [DONE]\n\n`;
  const cases = [
    { type: 'application/json', sent: document, observeStreams: 16, cached: 5, skipped: 0 },
    { type: 'text/event-stream', sent: events, observeStreams: 16, cached: 5, skipped: 0 },
    { type: 'text/event-stream', sent: events, observeStreams: 16, cached: null, skipped: 1 },
    { type: 'text/event-stream', sent: events, observeStreams: 1, cached: 5, skipped: 1 },
  ];
  for (const { type, sent, observeStreams, cached, skipped } of cases) {
    const epp = await startTestEpp(t, [engine.url], { observeStreams });
    const streaming = type === 'text/event-stream';
    for (let count = 0; count <= skipped; count++) {
      const plane = new DataPlane(t, epp.address);
      plane.send(requestHeaders(), requestBody(JSON.stringify({ model, prompt: 'x', stream: streaming })));
      await plane.next();
      await plane.next();
      plane.send(answerHeaders(200, type), answerBody(sent.slice(0, 30), false), answerBody(sent.slice(30), true));
      await plane.next();
      const passed = [streamed(await plane.next(), 'response_body'), streamed(await plane.next(), 'response_body')];
      assert.equal(Buffer.concat(passed.map(({ body: bytes }) => bytes)).toString(), sent);
      plane.stream.end();
      await until(() => plane.ended !== null);
    }
    const seen = await outcome(epp.adminUrl);
    assert.equal(seen['status'], 200);
    assert.equal(seen['cachedTokens'], cached);
    assert.equal(seen['ttftSeconds'] !== null, streaming);
  }
});

test('server errors of an endpoint take it out; those of the data plane itself do not', async (t) => {
  for (const isEndpoints of [false, true]) {
    const { epp } = await idle(t, 1);
    for (let count = 0; count < 6; count++) {
      const plane = new DataPlane(t, epp.address);
      plane.send(requestHeaders(), requestBody(body));
      const answer = await plane.next();
      if ('immediate_response' in answer) break;
      await plane.next();
      const from: Record<string, string> = isEndpoints ? { 'x-envoy-upstream-service-time': '3' } : {};
      const headers = headerMap({ ':status': '500', 'content-type': 'application/json', ...from });
      plane.send({ response_headers: { headers, end_of_stream: false } }, answerBody('{"error":"no"}', true));
      await plane.next();
      await plane.next();
      plane.stream.end();
      await until(() => plane.ended !== null);
    }
    const metrics = await (await fetch(`${epp.adminUrl}/metrics`)).text();
    assert.equal(/^signalbox_ejections_total\{reason="server-error"\} 1$/m.test(metrics), isEndpoints);
  }
});

test('what a client did wrong is answered in its terms', async (t) => {
  const { epp } = await idle(t, 1);
  const cases = [
    { headers: requestHeaders(), sent: '{', status: 400, code: 'body_malformed' },
    { headers: requestHeaders(), sent: '{"model":"unheard/of"}', status: 404, code: 'model_unknown' },
    { headers: requestHeaders({ ':method': 'PUT' }), sent: body, status: 405, code: 'method_not_allowed' },
  ];
  for (const { headers, sent, status, code } of cases) {
    const plane = new DataPlane(t, epp.address);
    plane.send(headers, requestBody(sent));
    const refused = immediate(await plane.next());
    assert.equal(refused.status, status);
    assert.equal(refused.body.error.code, code);
  }
});

test('a body over the limit is refused before its end', async (t) => {
  const engine = await startStub(t, (_request, response) => response.end());
  const epp = await startTestEpp(t, [engine.url], { maxBodyBytes: 1000 });
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders(), requestBody('x'.repeat(1001), false));
  assert.equal(immediate(await plane.next()).status, 413);
});

test('another mode of sending bodies is refused, not misread', async (t) => {
  const { epp } = await idle(t, 1);
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders({}, { protocol_config: { request_body_mode: 2, response_body_mode: 1 } }));
  await until(() => plane.ended !== null);
  assert.equal(plane.ended!.code, 9);
});

test('a client that leaves frees its endpoint', async (t) => {
  const { epp } = await idle(t, 1);
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders(), requestBody(body));
  await plane.next();
  plane.stream.cancel();
  assert.equal((await outcome(epp.adminUrl))['status'], 499);
  await until(() => epp.openStreams === 0);
});

test('health answers any name, on both ports; it is off before the pool is known and while draining', async (t) => {
  const engine = await startEngine(t);
  const epp = await startTestEpp(t, [engine.url]);
  const ask = (port: number, service: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const client = new Health(`127.0.0.1:${port}`, credentials.createInsecure());
      client.Check({ service }, (error, response) => {
        client.close();
        if (error === null) resolve(response.status);
        else reject(error);
      });
    });
  for (const service of ['', 'inference-extension', 'readiness', 'envoy.service.ext_proc.v3.ExternalProcessor']) {
    assert.equal(await ask(epp.healthPort, service), 'SERVING');
    assert.equal(await ask(epp.grpcPort, service), 'SERVING');
  }
  const held = new DataPlane(t, epp.address);
  held.send(requestHeaders());
  await until(() => epp.openStreams === 1);
  const closing = epp.close(5000);
  assert.equal(await ask(epp.healthPort, 'readiness'), 'NOT_SERVING');
  assert.equal(await ask(epp.healthPort, 'liveness'), 'SERVING');
  // A stream under way is served to its end.
  held.send(requestBody(body));
  assert.ok('request_headers' in (await held.next()));
  held.stream.end();
  await closing;
});

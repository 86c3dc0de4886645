/**
 * `sh scripts/with-node.sh test/epp/record-exchanges.ts` writes testdata/ext-proc/: what a real Envoy and a grpc-js client
 * send to the endpoint picker, byte by byte, with what kinds of messages they were answered by.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { startEnvoy } from '../envoy/front.ts';
import type { Cleanup } from '../support/command.ts';
import { envoyVersion } from '../../src/stack/envoy-program.ts';
import { model, startStub, until } from '../support/fleet-under-test.ts';
import { kindsOf, recordingsFolder, saidByStream, type Recording } from './recorded.ts';
import {
  answerBody,
  answerHeaders,
  DataPlane,
  Health,
  headerMap,
  requestBody,
  requestHeaders,
  startTestEpp,
  type Message,
} from './wire-client.ts';

const ends: (() => unknown)[] = [];
const t: Cleanup = { after: (end) => ends.push(end) };

/** Stands between a data plane and the picker, and keeps what passes. */
async function tap(target: string) {
  const [host, port] = target.split(':');
  const connections: { sent: Buffer[]; answered: Buffer[] }[] = [];
  const server = createServer((socket) => {
    const kept = { sent: [] as Buffer[], answered: [] as Buffer[] };
    connections.push(kept);
    const picker = connect(Number(port), host);
    socket.on('data', (chunk: Buffer) => (kept.sent.push(chunk), picker.write(chunk)));
    picker.on('data', (chunk: Buffer) => (kept.answered.push(chunk), socket.write(chunk)));
    for (const [one, other] of [
      [socket, picker],
      [picker, socket],
    ] as const) {
      one.on('close', () => other.destroy());
      one.on('error', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections };
}

function recordingOf(peer: string, { connections }: Awaited<ReturnType<typeof tap>>): Recording {
  return {
    peer,
    connections: connections.map(({ sent, answered }) => ({
      sent: sent.map((chunk) => chunk.toString('base64')),
      answers: Object.fromEntries(
        [...saidByStream(Buffer.concat(answered))].map(([id, { data }]) => [id, kindsOf(data)]),
      ),
    })),
  };
}

const words = 'signal track points lever train yard switch lamp bell wire route platform junction relay timetable ';
const chat = (bytes: number, more = {}): string =>
  JSON.stringify({
    model,
    messages: [{ role: 'user', content: words.repeat(bytes / words.length) }],
    max_tokens: 8,
    ...more,
  });
const event = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: ' word' } }] })}\n\n`;
const answer = JSON.stringify({ choices: [{ index: 0, message: { content: 'a' } }], usage: { prompt_tokens: 9 } });

const engine = await startStub(t, (request, response, body) => {
  const streams = body.includes('"stream":true');
  response.setHeader('content-type', streams ? 'text/event-stream' : 'application/json');
  if (!streams) return void response.end(request.method === 'GET' ? '{}' : answer);
  for (let events = 0; events < 20; events++) response.write(event);
  if (!body.includes('never ends')) response.end('data: [DONE]\n\n');
});

async function recordEnvoy(): Promise<Recording> {
  const epp = await startTestEpp(t, [engine.url]);
  const between = await tap(epp.address);
  const url = await startEnvoy(t, ['--epp', between.address, '--no-secure-serving', '--endpoint', engine.url]);
  const post = async (body: string, path = '/v1/chat/completions'): Promise<number> => {
    const response = await fetch(`${url}${path}`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json', 'x-llm-d-inference-objective': 'gold' } },
      body,
    });
    await response.arrayBuffer();
    return response.status;
  };
  assert.equal(await post(JSON.stringify({ model, prompt: 'Say it.', max_tokens: 4 }), '/v1/completions'), 200);
  assert.equal(await post(chat(8000)), 200);
  assert.equal(await post(chat(150_000)), 200);
  assert.equal(await post(chat(200, { stream: true })), 200);
  assert.equal(await post(chat(300, { stream: true })), 200);
  assert.equal((await fetch(`${url}/v1/anything`)).status, 200);
  assert.equal(await post('{"model":"nobody","messages":[]}'), 404);
  assert.deepEqual(
    await Promise.all(Array.from({ length: 8 }, (_, index) => post(chat(1000 * index + 100)))),
    Array.from({ length: 8 }, () => 200),
  );
  await postWithTrailers(url, chat(500));
  await postAndLeave(url, chat(400, { stream: true, user: 'never ends' }));
  await until(() => epp.openStreams === 0);
  return recordingOf(`Envoy ${envoyVersion}`, between);
}

/** Over HTTP/2, for HTTP/1.1's trailers are dropped. */
async function postWithTrailers(url: string, body: string): Promise<void> {
  const session = connectHttp2(url);
  const headers = { ':method': 'POST', ':path': '/v1/chat/completions', 'content-type': 'application/json' };
  const stream = session.request(headers, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'none' }));
  stream.end(body);
  const [got] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(got[':status'], 200);
  stream.resume();
  await once(stream, 'end');
  session.close();
}

async function postAndLeave(url: string, body: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const path = '/v1/chat/completions';
  const sent = httpRequest({ hostname, port, path, method: 'POST', headers: { 'content-type': 'application/json' } });
  sent.on('error', () => undefined);
  sent.end(body);
  await once(sent, 'response');
  sent.destroy();
}

/** What Envoy does not send by our bootstrap: subsets, bodies with the end apart, a data plane that leaves in between. */
async function recordGrpcJs(): Promise<Recording> {
  const epp = await startTestEpp(t, [engine.url]);
  const between = await tap(epp.address);
  const exchange = async (...sent: readonly Message[]): Promise<DataPlane> => {
    const plane = new DataPlane(t, between.address);
    plane.send(...sent);
    await plane.next();
    return plane;
  };
  const hint = (address: string): Message => ({
    metadata_context: {
      filter_metadata: {
        'envoy.lb.subset_hint': {
          fields: { 'x-gateway-destination-endpoint-subset': { stringValue: address } },
        },
      },
    },
  });
  const whole = await exchange(requestHeaders({}, hint('127.0.0.1')), requestBody(chat(3000)));
  whole.send(answerHeaders(200, 'application/json'), answerBody(answer, false), answerBody('', true));
  whole.stream.end();
  const pieces = chat(100_000);
  const cut = await exchange(
    ...[requestHeaders(), requestBody(pieces.slice(0, 40_000), false), requestBody(pieces.slice(40_000), false)],
    ...[requestBody('', true), requestBody('', true)],
  );
  cut.send(answerHeaders(503, 'text/plain'), answerBody('no', true));
  cut.stream.end();
  const trailed = await exchange(
    ...[requestHeaders(), requestBody(chat(100), false), { request_trailers: { trailers: headerMap({ a: 'b' }) } }],
  );
  trailed.send(answerHeaders(200, 'text/event-stream'), answerBody(event, false));
  trailed.send({ response_trailers: { trailers: headerMap({}) } });
  trailed.stream.end();
  (await exchange(requestHeaders({}, hint('10.9.9.9')), requestBody(chat(10)))).stream.end();
  (await exchange(requestHeaders(), requestBody(chat(10)))).stream.cancel();
  const health = new Health(between.address, credentials.createInsecure());
  await new Promise((done) => health.Check({ service: 'anything' }, done));
  await until(() => epp.openStreams === 0);
  return recordingOf('grpc-js', between);
}

mkdirSync(recordingsFolder, { recursive: true });
for (const [name, recording] of [
  ['envoy', await recordEnvoy()],
  ['grpc-js', await recordGrpcJs()],
] as const) {
  writeFileSync(join(recordingsFolder, `${name}.json`), `${JSON.stringify(recording, null, 1)}\n`);
}
for (const end of ends) await end();
process.exit();

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { seededRandom } from '../../src/base/random.ts';
import { loadProtos } from './protos.ts';
import { model, startStub, until } from '../support/fleet-under-test.ts';
import { answerBody, answerHeaders, requestBody, requestHeaders, startTestEpp, type Message } from './wire-client.ts';

const definition = loadProtos(['ext_proc.proto']);
const { requestSerialize } = (
  definition['envoy.service.ext_proc.v3.ExternalProcessor'] as unknown as {
    Process: { requestSerialize(value: Message): Buffer };
  }
).Process;

const path = '/envoy.service.ext_proc.v3.ExternalProcessor/Process';
const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };

function frame(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A whole exchange as its data plane writes it. */
const exchange = [
  requestHeaders(),
  requestBody(JSON.stringify({ model, prompt: 'word '.repeat(3000) }).slice(0, 7000), false),
  requestBody(JSON.stringify({ model, prompt: 'word '.repeat(3000) }).slice(7000), true),
  answerHeaders(200, 'application/json'),
  answerBody('{"choices":[]}', true),
].map((message) => frame(requestSerialize(message)));

async function start(t: TestContext) {
  const engine = await startStub(t, (_request, response) => response.end());
  const epp = await startTestEpp(t, [engine.url]);
  const session = connect(`http://${epp.address}`, { maxSessionMemory: 100 });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  return { epp, session };
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const settings = 4;

/** An HTTP/2 frame (RFC 9113 section 4.1) with END_HEADERS where it has headers. */
function frames(type: number, stream: number, payload: string): Buffer {
  const content = Buffer.from(payload, 'hex');
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head[3] = type;
  head[4] = type === 1 ? 4 : 0;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, content]);
}

/** Calls that are each reset right after their headers. */
function callsReset(count: number): Buffer[] {
  const literal = (name: string, value: string): string =>
    [name, value].reduce((hex, text) => hex + length(text.length) + Buffer.from(text).toString('hex'), '00');
  const length = (bytes: number): string => bytes.toString(16).padStart(2, '0');
  const block = Object.entries({ ...headers, ':scheme': 'http', ':authority': 'epp' })
    .sort(([a], [b]) => Number(b.startsWith(':')) - Number(a.startsWith(':')))
    .map(([name, value]) => literal(name, value))
    .join('');
  return Array.from({ length: count }, (_, index) => index * 2 + 1).flatMap((stream) => [
    frames(1, stream, block),
    frames(3, stream, '00000008'),
  ]);
}

/** Sends bytes and gives the status in the trailers; null when there were none. */
function call(session: ClientHttp2Session, bytes: Buffer): Promise<string | null> {
  return new Promise((resolve) => {
    const stream = session.request(headers);
    let status: string | null = null;
    stream.on('trailers', (trailers) => (status = String(trailers['grpc-status'])));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(status));
    stream.resume();
    stream.end(bytes);
  });
}

test('a wire cut and reset at every point leaves no stream, and nothing in flight', async (t) => {
  const { epp, session } = await start(t);
  const random = seededRandom(7);
  const whole = Buffer.concat(exchange);
  for (let count = 0; count < 150; count++) {
    const stream = session.request(headers);
    stream.on('error', () => undefined);
    stream.resume();
    const end = random.below(whole.length);
    for (let at = 0; at < end;) {
      const next = Math.min(end, at + 1 + random.below(3000));
      stream.write(whole.subarray(at, next));
      at = next;
    }
    if (count % 3 === 0) await new Promise((done) => setImmediate(done));
    if (count % 2 === 0) stream.close(constants.NGHTTP2_CANCEL);
    else stream.end();
  }
  await until(() => epp.openStreams === 0);
  const [endpoint] = (await (await fetch(`${epp.adminUrl}/api/endpoints`)).json()) as { inFlight: number }[];
  assert.equal(endpoint!.inFlight, 0);
  assert.equal(await call(session, whole), '0');
});

test('reset at every byte of an exchange: nothing is left of it', async (t) => {
  const { epp, session } = await start(t);
  const whole = Buffer.concat(exchange);
  for (let end = 0; end <= whole.length; end++) {
    const stream = session.request(headers);
    stream.on('error', () => undefined);
    stream.resume();
    stream.write(whole.subarray(0, end));
    // The reset is to come after the bytes, not in their place.
    if (end % 8 === 0) await new Promise((done) => setImmediate(done));
    stream.close(end % 2 === 0 ? constants.NGHTTP2_CANCEL : constants.NGHTTP2_INTERNAL_ERROR);
    if (end % 200 === 0) await until(() => epp.openStreams === 0);
  }
  await until(() => epp.openStreams === 0);
  const gauge = await (await fetch(`${epp.adminUrl}/metrics`)).text();
  assert.match(gauge, /^llm_d_epp_extproc_streams_inflight 0$/m);
  const [endpoint] = (await (await fetch(`${epp.adminUrl}/api/endpoints`)).json()) as { inFlight: number }[];
  assert.equal(endpoint!.inFlight, 0);
  assert.equal(await call(session, whole), '0');
});

test('callers that leave at once, many in one piece of the wire, end nothing but themselves', async (t) => {
  const { epp, session } = await start(t);
  for (let round = 0; round < 50; round++) {
    const socket = createConnection(epp.grpcPort, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(Buffer.concat([Buffer.from(preface), frames(settings, 0, ''), ...callsReset(20)]));
    await once(socket, 'data');
    socket.destroy();
  }
  await until(() => epp.openStreams === 0);
  assert.equal(await call(session, Buffer.concat(exchange)), '0');
});

test('flipped bytes are refused or passed over; the next exchange is served', async (t) => {
  const { epp, session } = await start(t);
  const random = seededRandom(11);
  for (let count = 0; count < 150; count++) {
    const bytes = Buffer.concat(exchange);
    for (let flips = 0; flips < 3; flips++) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    await call(session, bytes);
  }
  await until(() => epp.openStreams === 0);
  assert.equal(await call(session, Buffer.concat(exchange)), '0');
});

test('a compressed, an oversized and a meaningless message each have their status', async (t) => {
  const { epp, session } = await start(t);
  assert.equal(await call(session, frame(Buffer.from('x'), 1)), '12');
  assert.equal(await call(session, Buffer.from([0, 0xff, 0xff, 0xff, 0xff])), '8');
  assert.equal(await call(session, frame(Buffer.from([0xff, 0xff]))), '3');
  await until(() => epp.openStreams === 0);
});

test('a peer that does not read stops being read from', async (t) => {
  const { epp, session } = await start(t);
  const stream = session.request(headers);
  stream.on('error', () => undefined);
  stream.pause();
  for (const part of exchange.slice(0, 4)) stream.write(part);
  const chunk = frame(requestSerialize(answerBody('x'.repeat(60_000), false)));
  const chunks = 200;
  for (let count = 0; count < chunks; count++) stream.write(chunk);
  await setTimeout(300);
  assert.ok(stream.writableLength > (chunks / 2) * chunk.length, 'most of it still waits with its sender');
  stream.close(constants.NGHTTP2_CANCEL);
  await until(() => epp.openStreams === 0);
});

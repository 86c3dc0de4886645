import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Http2Connection } from '../../src/epp/http2/connection.ts';
import { headerBlock, type Headers } from '../../src/epp/http2/hpack.ts';
import { until } from '../support/fleet-under-test.ts';

/** Answers each stream with what it was sent, and says with which headers it came. */
async function echo(t: TestContext, seen: Headers[] = []) {
  let open = 0;
  const server = createServer((socket) => {
    new Http2Connection(socket, {
      closed: () => undefined,
      serve: (stream, headers) => {
        open++;
        seen.push(headers);
        stream.begin(headerBlock({ ':status': '200', 'x-answer': 'yes' }));
        return {
          data: (chunk) => stream.write([Buffer.from(chunk)]),
          ended: () => stream.end(headerBlock({ 'x-end': 'done' })),
          closed: () => open--,
        };
      },
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { port, open: () => open };
}

function session(t: TestContext, port: number, settings = {}): ClientHttp2Session {
  const client = connect(`http://127.0.0.1:${port}`, { settings });
  client.on('error', () => undefined);
  t.after(() => client.destroy());
  return client;
}

async function ask(client: ClientHttp2Session, headers: Record<string, string>, body: Buffer) {
  const stream = client.request({ ':method': 'POST', ...headers });
  const chunks: Buffer[] = [];
  let trailers: Record<string, unknown> = {};
  let answer: Record<string, unknown> = {};
  stream.on('response', (got) => (answer = got));
  stream.on('trailers', (got) => (trailers = got));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await once(stream, 'close');
  return { body: Buffer.concat(chunks), answer, trailers };
}

test('headers are read as another implementation meant them, on one connection', async (t) => {
  const seen: Headers[] = [];
  const { port } = await echo(t, seen);
  const client = session(t, port);
  const name = fc.stringMatching(/^x-[a-z0-9-]{1,20}$/);
  const value = fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e\x80-\xff]{0,300}[\x21-\x7e])?)?$/);
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 12 }), async (headers) => {
      await ask(client, headers, Buffer.alloc(0));
      const { ':method': method, ':path': path, ':scheme': scheme, ':authority': authority, ...rest } = seen.at(-1)!;
      assert.deepEqual([method, path, scheme, authority], ['POST', '/', 'http', `127.0.0.1:${port}`]);
      assert.deepEqual({ ...rest }, { ...headers });
    }),
    { numRuns: 300 },
  );
});

test('headers longer than a frame come whole', async (t) => {
  const seen: Headers[] = [];
  const { port } = await echo(t, seen);
  const long = 'long '.repeat(8000);
  await ask(session(t, port), { 'x-long': long.trim() }, Buffer.alloc(0));
  assert.equal(seen[0]!['x-long'], long.trim());
});

test('bodies come back whole, whatever windows the peer gives, many at once', async (t) => {
  const { port, open } = await echo(t);
  for (const initialWindowSize of [1, 1000, 65_535, 4_000_000]) {
    const client = session(t, port, { initialWindowSize });
    const sizes = initialWindowSize === 1 ? [0, 1, 200] : [0, 1, 16_384, 16_385, 300_000, 3_000_000];
    const answers = await Promise.all(sizes.map((size) => ask(client, {}, Buffer.alloc(size, `body of ${size}`))));
    for (const [index, { body, answer, trailers }] of answers.entries()) {
      const size = sizes[index]!;
      assert.ok(body.equals(Buffer.alloc(size, `body of ${size}`)), `${size} bytes in windows of ${initialWindowSize}`);
      assert.equal(answer['x-answer'], 'yes');
      assert.equal(trailers['x-end'], 'done');
    }
  }
  assert.equal(open(), 0);
});

test('what a peer resets or leaves is over', async (t) => {
  const { port, open } = await echo(t);
  const client = session(t, port);
  const streams = Array.from({ length: 50 }, () => client.request({ ':method': 'POST' }));
  for (const stream of streams) stream.on('error', () => undefined);
  await until(() => open() === 50);
  for (const stream of streams.slice(0, 25)) stream.close(constants.NGHTTP2_CANCEL);
  await until(() => open() === 25);
  client.destroy();
  await until(() => open() === 0);
});

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const settings = frame(4, 0, 0, Buffer.alloc(0));
/** No window for answers. */
const narrow = frame(4, 0, 0, Buffer.from('000400000000', 'hex'));
const request = headerBlock({ ':method': 'POST', ':path': '/', ':scheme': 'http', ':authority': 'a' });
const open1 = frame(1, 4, 1, request);

/** Sends bytes and gives the frames that come back until the connection ends or has `count` of the type. */
async function exchange(port: number, bytes: Buffer, type: number, count = 1): Promise<Buffer[]> {
  const socket: Socket = createConnection(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  let all = Buffer.alloc(0);
  const found: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    all = Buffer.concat([all, chunk]);
    while (all.length >= 9 && all.length >= 9 + all.readUIntBE(0, 3)) {
      const end = 9 + all.readUIntBE(0, 3);
      if (all[3] === type) found.push(all.subarray(0, end));
      all = all.subarray(end);
    }
    if (found.length >= count) break;
  }
  socket.destroy();
  return found;
}

test('every breach of the protocol ends the connection with its code, and no other', async (t) => {
  const { port, open } = await echo(t);
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const healthy = session(t, port);
  const started = [preface, settings];
  const breaches: readonly (readonly [what: string, code: number, frames: readonly Buffer[]])[] = [
    ['another protocol', 1, [Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')]],
    ['a frame too large', 6, [...started, frame(0, 0, 1, Buffer.alloc(16_385))]],
    ['data of an idle stream', 1, [...started, frame(0, 0, 1, Buffer.from('x'))]],
    // No window is left for the answer, so the stream is not over.
    [
      'data after the end',
      5,
      [preface, narrow, open1, frame(0, 1, 1, Buffer.from('x')), frame(0, 0, 1, Buffer.from('x'))],
    ],
    ['an even stream', 1, [...started, frame(1, 4, 2, request)]],
    ['headers of no stream', 1, [...started, frame(1, 4, 0, request)]],
    ['a broken header block', 9, [...started, frame(1, 4, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]))]],
    ['an index that nobody has', 9, [...started, frame(1, 4, 1, Buffer.from([0xfe]))]],
    ['a table too large', 9, [...started, frame(1, 4, 1, Buffer.from([0x3f, 0xff, 0x7f]))]],
    ['text not in the code', 9, [...started, frame(1, 4, 1, Buffer.from([0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]))]],
    ['a block broken off', 1, [...started, frame(1, 0, 1, request), frame(6, 0, 0, Buffer.alloc(8))]],
    ['a continuation of nothing', 1, [...started, frame(9, 4, 1, request)]],
    [
      'headers without end',
      11,
      [...started, frame(1, 0, 1, request), ...Array(5).fill(frame(9, 0, 1, Buffer.alloc(16_384)))],
    ],
    ['more padding than frame', 1, [...started, open1, frame(0, 8, 1, Buffer.from([5, 1]))]],
    ['a reset of an idle stream', 1, [...started, frame(3, 0, 1, number(8))]],
    ['a short ping', 6, [...started, frame(6, 0, 0, Buffer.alloc(7))]],
    ['settings of an odd length', 6, [...started, frame(4, 0, 0, Buffer.alloc(5))]],
    ['a window by nothing', 1, [...started, frame(8, 0, 0, number(0))]],
    ['a window too large', 3, [...started, frame(8, 0, 0, number(2 ** 31 - 1))]],
    ['a push', 1, [...started, frame(5, 4, 1, number(2))]],
  ];
  for (const [what, code, bytes] of breaches) {
    const [goAway] = await exchange(port, Buffer.concat(bytes), 7);
    assert.equal(goAway?.readUInt32BE(9 + 4), code, what);
  }
  await until(() => open() === 0);
  assert.equal((await ask(healthy, {}, Buffer.from('still'))).body.toString(), 'still');
});

test('however the wire is cut, pings are answered, padding and priorities are read over, unknown frames ignored', async (t) => {
  const { port } = await echo(t);
  const padded = Buffer.concat([Buffer.from([3]), Buffer.from('hello'), Buffer.alloc(3)]);
  const withPriority = Buffer.concat([Buffer.alloc(5), request]);
  const whole = Buffer.concat([
    ...[preface, settings, frame(0x20, 0, 0, Buffer.from('what is this'))],
    ...[frame(1, 0x20, 1, withPriority.subarray(0, 20)), frame(9, 4, 1, withPriority.subarray(20))],
    ...[frame(2, 0, 1, Buffer.alloc(5)), frame(0, 8, 1, padded), frame(6, 0, 0, Buffer.from('12345678'))],
  ]);
  for (const step of [1, 2, 7, 9, 64]) {
    const socket = createConnection(port, '127.0.0.1');
    socket.setNoDelay(true);
    let got = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => (got = Buffer.concat([got, chunk])));
    for (let at = 0; at < whole.length; at += step) {
      socket.write(whole.subarray(at, at + step));
      await new Promise((done) => setImmediate(done));
    }
    await until(() => got.includes('hello') && got.includes('12345678'));
    socket.destroy();
  }
});

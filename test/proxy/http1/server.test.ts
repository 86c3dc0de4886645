import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpEngines } from '../../../src/proxy/http-engines.ts';
import { exchange, largestBodyBytes, startEcho, statusesIn, understoodIn } from './raw-http.ts';

const post = (headers: string, body: string): string => `POST /v1/x HTTP/1.1\r\nhost: h\r\n${headers}\r\n${body}`;
const good = 'GET /good HTTP/1.1\r\nhost: h\r\n\r\n';

/** What two readers could take for different requests; each with the request that a lenient one would find inside. */
const doubtful: Readonly<Record<string, string>> = {
  'a length and chunks': post('content-length: 6\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\nG'),
  'chunks and a length': post('transfer-encoding: chunked\r\ncontent-length: 6\r\n', '0\r\n\r\nG'),
  'two lengths': post('content-length: 5\r\ncontent-length: 6\r\n', 'hello'),
  'the same length twice': post('content-length: 5\r\ncontent-length: 5\r\n', 'hello'),
  'a list of lengths': post('content-length: 5, 5\r\n', 'hello'),
  'a signed length': post('content-length: +5\r\n', 'hello'),
  'a hexadecimal length': post('content-length: 0x5\r\n', 'hello'),
  'a folded header': post('x-a: b\r\n c\r\ncontent-length: 5\r\n', 'hello'),
  'space before a colon': post('content-length : 5\r\n', 'hello'),
  'space before a name': post(' content-length: 5\r\n', 'hello'),
  'bare LF between headers': post('x-a: b\ncontent-length: 5\r\n', 'hello'),
  'bare CR in a value': post('x-a: b\rcontent-length: 5\r\n', 'hello'),
  'NUL in a value': post('x-a: b\0c\r\n', ''),
  'another encoding': post('transfer-encoding: gzip, chunked\r\n', '0\r\n\r\n'),
  'an encoding twice': post('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'),
  'an encoding with a tab': post('transfer-encoding: \x0bchunked\r\n', '0\r\n\r\n'),
  'two hosts': post('host: other\r\n', ''),
  'no host': 'GET / HTTP/1.1\r\n\r\n',
  'chunks in HTTP/1.0': 'POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'a chunk size of no digits': post('transfer-encoding: chunked\r\n', '\r\nhello\r\n0\r\n\r\n'),
  'a chunk size with a sign': post('transfer-encoding: chunked\r\n', '+5\r\nhello\r\n0\r\n\r\n'),
  'a chunk longer than its size': post('transfer-encoding: chunked\r\n', '5\r\nhelloo\r\n0\r\n\r\n'),
  'a chunk that ends with LF': post('transfer-encoding: chunked\r\n', '5\r\nhello\n0\r\n\r\n'),
  'a chunk size beyond counting': post('transfer-encoding: chunked\r\n', 'fffffffffffffffff\r\n'),
  'a tunnel': 'CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\n',
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a target with a space': 'GET /a b HTTP/1.1\r\nhost: h\r\n\r\n',
};

for (const [what, bytes] of Object.entries(doubtful)) {
  test(`refused, and nothing after it read as a request: ${what}`, async (t) => {
    const port = await startEcho(t, 'own');
    const answer = await exchange(port, [bytes + good]);
    assert.deepEqual(understoodIn(answer), []);
    const [status, ...others] = statusesIn(answer);
    assert.ok(status !== undefined && status >= 400 && status !== 404, answer);
    assert.deepEqual(others, []);
    assert.match(answer, /connection: close/);
    assert.match(answer, /"code":"http_malformed"/);
  });
}

for (const engine of httpEngines) {
  const both = `${engine} engine: `;

  test(`${both}bodies with a length, in chunks, in pieces and one after the other`, async (t) => {
    const port = await startEcho(t, engine);
    const all =
      post('content-length: 5\r\n', 'hello') +
      post('Transfer-Encoding: chunked\r\n', '3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n') +
      good +
      post('content-length: 0\r\nconnection: close\r\n', '');
    for (const step of [all.length, 7, 1]) {
      const pieces = Array.from({ length: Math.ceil(all.length / step) }, (_, at) =>
        all.slice(at * step, (at + 1) * step),
      );
      const understood = understoodIn(await exchange(port, pieces, 500));
      assert.deepEqual(
        understood.map(({ method, target, body }) => [method, target, Buffer.from(body, 'base64').toString()]),
        [
          ['POST', '/v1/x', 'hello'],
          ['POST', '/v1/x', 'hello'],
          ['GET', '/good', ''],
          ['POST', '/v1/x', ''],
        ],
      );
    }
  });

  test(`${both}a head larger than 32 KiB is refused as such`, async (t) => {
    const port = await startEcho(t, engine);
    const answer = await exchange(port, [`GET / HTTP/1.1\r\nhost: h\r\nx-a: ${'a'.repeat(40_000)}\r\n\r\n`]);
    assert.deepEqual(statusesIn(answer), [431]);
  });

  test(`${both}a body over the limit is refused before it comes, and the connection lives on if it comes`, async (t) => {
    const port = await startEcho(t, engine);
    const big = post(`content-length: ${largestBodyBytes + 1}\r\n`, 'x'.repeat(largestBodyBytes + 1));
    assert.deepEqual(statusesIn(await exchange(port, [big + good], 500)), [413, 200]);
  });

  test(`${both}who expects 100-continue is told to go on, once the body is wanted`, async (t) => {
    const port = await startEcho(t, engine);
    const answer = await exchange(port, [post('content-length: 5\r\nexpect: 100-continue\r\n', '')], 100);
    assert.match(answer, /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  });

  test(`${both}HTTP/1.0 is answered and the connection ends, unless it asks to keep it`, async (t) => {
    const port = await startEcho(t, engine);
    const old = 'GET /old HTTP/1.0\r\n\r\n';
    assert.equal(understoodIn(await exchange(port, [old])).length, 1);
    const kept = 'GET /old HTTP/1.0\r\nconnection: keep-alive\r\n\r\n';
    assert.equal(understoodIn(await exchange(port, [kept + good])).length, 2);
  });
}

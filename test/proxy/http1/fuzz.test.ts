import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { HttpEngine } from '../../../src/proxy/http-engines.ts';
import { exchange, startEcho, understoodIn, type Understood } from './raw-http.ts';

const runs = 400;

const names = [
  'x-a',
  'content-type',
  'cookie',
  'accept',
  'user-agent',
  'Content-Length',
  'transfer-encoding',
  'Transfer-Encoding',
  'expect',
  'host',
  'connection',
  'x b',
  'x-c ',
  '',
];
const values = ['1', '5', '05', '+5', '5, 5', '0x5', '-1', 'chunked', 'Chunked', 'gzip, chunked', 'identity', 'close'];
const lineEnds = [...Array<string>(30).fill('\r\n'), '\n', '\r', '\r\n ', '\r\n\t', '\r\r\n', '\0\r\n'];
const bodies = [
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n',
  '5;x=y\r\nhello\r\n0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\nx: y\r\n\r\n',
];
const chunkOddities = [
  '5\nhello\n0\n\n',
  '05\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  'g\r\n',
  '5\r\nhelloX\r\n0\r\n\r\n',
];

const oftenFit = <T>(fit: T, odd: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(fit), weight: 20 }, { arbitrary: odd, weight: 1 });
const text = fc.string({ minLength: 0, maxLength: 12, unit: 'binary-ascii' });
const headerLine = fc
  .tuple(
    fc.constantFrom(...names),
    oftenFit(':', fc.constantFrom(' :', ': ', '', ':\t')),
    fc.oneof(fc.constantFrom(...values), text),
    fc.constantFrom(...lineEnds),
  )
  .map((parts) => parts.join(''));
const request = fc
  .record({
    method: oftenFit('POST', fc.constantFrom('GET', 'post', 'PATCH', 'PO ST', '', 'CONNECT', 'PRI')),
    target: oftenFit('/v1/x?a=b', fc.constantFrom('/', '*', 'http://h/x', '/a b', '/\x7f', '', '/ü')),
    version: oftenFit('HTTP/1.1', fc.constantFrom('HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', '')),
    lineEnd: fc.constantFrom(...lineEnds),
    host: oftenFit('host: h\r\n', fc.constantFrom('', 'host: h\r\nhost: i\r\n', 'Host:h\r\n')),
    framing: fc.constantFrom('', 'content-length: 5\r\n', 'transfer-encoding: chunked\r\n', 'Content-Length:0\r\n'),
    headers: fc.array(headerLine, { maxLength: 3 }).map((lines) => lines.join('')),
    body: oftenFit('', fc.constantFrom(...bodies, ...chunkOddities)),
    fittingBody: fc.boolean(),
  })
  .map(({ method, target, version, lineEnd, host, framing, headers, body, fittingBody }) => {
    const fit = framing.includes('5') ? 'hello' : framing.includes('chunked') ? bodies[2]! : '';
    return `${method} ${target} ${version}${lineEnd}${host}${framing}${headers}\r\n${fittingBody ? fit : body}`;
  });

/** A connection's bytes, and where they are cut into pieces. */
const connection = fc
  .tuple(
    fc.array(request, { minLength: 1, maxLength: 3 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
  )
  .map(([requests, cuts]) => {
    const all = `${requests.join('')}GET /last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n`;
    const places = cuts.map((cut) => Math.floor(cut * all.length)).sort((a, b) => a - b);
    return [0, ...places]
      .map((start, index) => all.slice(start, places[index] ?? all.length))
      .filter((piece) => piece !== '');
  });

async function understood(
  t: TestContext,
  engine: HttpEngine,
  pieces: readonly string[],
): Promise<{ heads: object[]; answers: Understood[] }> {
  const heads: object[] = [];
  const port = await startEcho(t, engine, (head) => heads.push(head));
  const answers = understoodIn(await exchange(port, pieces));
  return { heads, answers };
}

test('what our engine takes is what node:http takes it for, whatever comes; what it doubts it refuses', async (t) => {
  let taken = 0;
  let refused = 0;
  // In batches: each case waits for silence.
  for (let batch = 0; batch < runs / 50; batch++) {
    const cases = fc.sample(connection, { numRuns: 50, seed: 20261124 + batch });
    await Promise.all(
      cases.map(async (pieces) => {
        const [mine, oracle] = await Promise.all([understood(t, 'own', pieces), understood(t, 'node', pieces)]);
        taken += mine.heads.length;
        if (mine.heads.length < oracle.heads.length || oracle.heads.length === 0) refused++;
        const shown = JSON.stringify(pieces.join(''));
        assert.ok(mine.heads.length <= oracle.heads.length, `ours saw more requests than node:http in ${shown}`);
        assert.deepEqual(mine.heads, oracle.heads.slice(0, mine.heads.length), `understood otherwise: ${shown}`);
        // Where a later request is refused, node:http may leave earlier ones unanswered.
        const both = Math.min(mine.answers.length, oracle.answers.length);
        assert.deepEqual(mine.answers.slice(0, both), oracle.answers.slice(0, both), `other bodies: ${shown}`);
      }),
    );
  }
  // The cases must try both sides of the question.
  assert.ok(taken > runs / 4, `only ${taken} requests were taken`);
  assert.ok(refused > runs / 20, `only ${refused} were refused`);
});

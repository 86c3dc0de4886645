import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { test, type TestContext } from 'node:test';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { startStub, until } from '../support/fleet-under-test.ts';
import { bodyOf, kindsOf, messages, readRecording, saidByStream, type RecordedConnection } from './recorded.ts';
import { startTestEpp } from './wire-client.ts';

type Epp = Awaited<ReturnType<typeof startTestEpp>>;

/** How what was recorded is cut: each piece is read by itself. */
const cuts: Readonly<Record<string, (random: Random) => number>> = {
  'in one piece': () => Infinity,
  'a few bytes at a time': (random) => 1 + random.below(60),
  anywhere: (random) => 1 + random.below(2 ** random.below(16)),
};

/** Says what the peer said, in such pieces; gives what was answered once nothing is missing. */
async function replay(epp: Epp, { sent, answers }: RecordedConnection, cut: () => number): Promise<Buffer> {
  const socket = createConnection(epp.grpcPort, '127.0.0.1').setNoDelay(true);
  const answered: Buffer[] = [];
  socket.on('data', (chunk) => answered.push(chunk));
  await once(socket, 'connect');
  const bytes = Buffer.concat(sent.map((piece) => Buffer.from(piece, 'base64')));
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + cut());
    socket.write(bytes.subarray(at, end));
    at = end;
    await new Promise((done) => setImmediate(done));
  }
  const said = saidByStream(bytes);
  await until(() => {
    const got = saidByStream(Buffer.concat(answered));
    return Object.entries(answers).every(
      ([id, kinds]) =>
        said.get(Number(id))!.wasReset || kindsOf(got.get(Number(id))?.data ?? none).length === kinds.length,
    );
  });
  socket.destroy();
  await until(() => epp.openStreams === 0);
  return Buffer.concat(answered);
}

const none = Buffer.alloc(0);

function check({ sent, answers }: RecordedConnection, answered: Buffer): void {
  const asked = saidByStream(Buffer.concat(sent.map((piece) => Buffer.from(piece, 'base64'))));
  const got = saidByStream(answered);
  for (const [id, kinds] of Object.entries(answers)) {
    const { data: question, wasReset } = asked.get(Number(id))!;
    const data = got.get(Number(id))?.data ?? none;
    // What was on its way when the peer left need not have come.
    const seen = kindsOf(data);
    assert.deepEqual(seen, wasReset ? kinds.slice(0, seen.length) : kinds, `stream ${id}`);
    if (kinds.includes('serving')) continue;
    const questions = messages(question, 'requestDeserialize');
    const replies = messages(data, 'responseDeserialize');
    for (const kind of ['request_body', 'response_body'] as const) {
      const body = bodyOf(replies, kind);
      const whole = bodyOf(questions, kind);
      if (seen.includes(kind) && seen.length === kinds.length) assert.deepEqual(body, whole, `${kind} of stream ${id}`);
    }
  }
}

async function startEpp(t: TestContext): Promise<Epp> {
  const engine = await startStub(t, (_request, response) => response.end());
  return startTestEpp(t, [engine.url]);
}

for (const name of ['envoy', 'grpc-js']) {
  const { peer, connections } = readRecording(name);
  for (const [how, cut] of Object.entries(cuts)) {
    test(`what ${peer} sent is answered as it was, ${how}`, async (t) => {
      const epp = await startEpp(t);
      const random = seededRandom(5);
      for (const connection of connections) check(connection, await replay(epp, connection, () => cut(random)));
    });
  }
}

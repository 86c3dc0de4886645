import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { model, postJson, startTestGateway } from '../support/fleet-under-test.ts';

const requests = 240;
const atOnce = 24;

function answer(status: number, text: string): string {
  const body = JSON.stringify({ data: [{ id: model, object: 'model' }], choices: [{ index: 0, text }] });
  return `HTTP/1.1 ${status} OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** An engine that answers with a prompt's hash; as a header asks it reads slowly, answers early, or drops connections. */
async function startEngine(t: TestContext): Promise<string> {
  let dropped = 0;
  const serve = (socket: Socket): void => {
    let received: Buffer = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = received.toString('latin1', 0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      const body = received.subarray(end + 4);
      const isWhole = body.length >= length;
      const how = /x-how: (\w+)/.exec(head)?.[1];
      if (how === 'drop' && isWhole && dropped++ % 3 !== 0) return void socket.destroy();
      if (how === 'early' && !isWhole) {
        socket.pause();
        socket.write(answer(200, 'early'));
        setTimeout(() => socket.destroy(), 20);
      } else if (how === 'slow' && !isWhole) {
        socket.pause();
        setTimeout(() => socket.resume(), 3);
      }
      if (!isWhole) return;
      received = Buffer.alloc(0);
      if (length === 0) return void socket.write(answer(200, ''));
      socket.write(answer(200, hashOf((JSON.parse(body.toString()) as { prompt: string }).prompt)));
    });
  };
  const server = createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('memory of bodies is used again, and no request’s body is ever another’s', async (t) => {
  const gateway = await startTestGateway(t, [await startEngine(t), await startEngine(t)]);
  let sent = 0;
  let right = 0;
  const ways = ['plain', 'slow', 'drop', 'leave', 'early', 'plain'];
  const one = async (): Promise<void> => {
    for (let serial = sent++; serial < requests; serial = sent++) {
      const how = ways[serial % ways.length]!;
      const letter = String.fromCharCode(97 + (serial % 26));
      const prompt = `${serial} `.padEnd(how === 'early' ? 900_000 : 1000 + ((serial * 7919) % 250_000), letter);
      const init = {
        headers: { 'content-type': 'application/json', 'x-how': how },
        ...(how === 'leave' ? { signal: AbortSignal.timeout(serial % 8) } : {}),
      };
      const text = await postJson(`${gateway.url}/v1/completions`, { model, prompt }, init).then(
        async (response) => ((await response.json()) as { choices?: { text: string }[] }).choices?.[0]?.text ?? '',
        () => 'left',
      );
      // What is dropped again and again is answered with an error in the end.
      if (/^[0-9a-f]{64}$/.test(text)) assert.equal(text, hashOf(prompt), how);
      if (text === hashOf(prompt)) right++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  assert.ok(right > requests / 2, `${right} of ${requests} were answered`);
});

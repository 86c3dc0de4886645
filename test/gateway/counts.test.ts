import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { model, postJson, startStub, until } from '../support/fleet-under-test.ts';

interface Counts {
  readonly writes: number;
  readonly copiedBytes: number;
  readonly ownReads: number;
  readonly heapBytes: number;
  readonly keptBytes: number;
}

const requests = 20;
/** Code that has been compiled makes fewer objects. */
const warmUp = 300;
const events = 40;

/** A gateway in a process of its own that counts; with the counts since it was last asked. */
async function startCounting(t: TestContext, engine: string): Promise<{ url: string; counts: () => Promise<Counts> }> {
  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  const flags = ['gateway', '--port', '0', '--admin-port', '0', '--endpoint', engine];
  const counting = join(import.meta.dirname, 'counting.ts');
  const child = spawn(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    '--expose-gc',
    '--min-semi-space-size=64',
    '--max-semi-space-size=64',
    '--import',
    counting,
    main,
    ...flags,
  ]);
  t.after(() => child.kill('SIGKILL'));
  let log = '';
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (lines: string) => (log += lines));
  await until(() => /"port":\d+.*listening/.test(log) && log.includes('counts at'));
  const url = `http://127.0.0.1:${/"port":(\d+)/.exec(log)![1]}`;
  await until(async () => (await fetch(`${url}/readyz`)).ok);
  const countsPort = Number(/counts at (\d+)/.exec(log)![1]);
  const counts = async (): Promise<Counts> => JSON.parse(await text(connect(countsPort, '127.0.0.1'))) as Counts;
  return { url, counts };
}

test('what a request, an event and a byte of prompt may cost, in counts that repeat', async (t) => {
  const event = (said: string): string =>
    `data: ${JSON.stringify({ id: 'c', created: 1, model, choices: [{ index: 0, text: said, finish_reason: null }] })}\n\n`;
  const stub = await startStub(t, (_request, response, body) => {
    if (!body.includes('"stream":true')) {
      response.setHeader('content-type', 'application/json');
      return void response.end(JSON.stringify({ choices: [{ index: 0, text: 'x', finish_reason: 'stop' }] }));
    }
    response.setHeader('content-type', 'text/event-stream');
    let sent = 0;
    const next = (): void => {
      response.write(event(`word ${sent}`));
      if (++sent < events) setTimeout(next, 2);
      else response.end('data: [DONE]\n\n');
    };
    next();
  });
  const { url, counts } = await startCounting(t, stub.url);
  const ask = async (body: object): Promise<void> =>
    void (await (await postJson(`${url}/v1/completions`, body)).text());
  const each = async (body: object, times = requests): Promise<Counts> => {
    await ask(body);
    await counts();
    for (let sent = 0; sent < times; sent++) await ask(body);
    const { writes, copiedBytes, ownReads, heapBytes, keptBytes } = await counts();
    return {
      writes: writes / times,
      copiedBytes: copiedBytes / times,
      ownReads: ownReads / times,
      heapBytes: heapBytes / times,
      keptBytes: keptBytes / times,
    };
  };

  // One write to the engine and one to the client; a few are questions to the engine on its health.
  const little = { model, prompt: 'short', max_tokens: 1 };
  for (let warmed = 0; warmed < warmUp; warmed++) await ask(little);
  const short = await each(little);
  assert.ok(short.writes < 2.6, `${short.writes} writes a request`);
  // Heads and bodies, once in and once out.
  assert.ok(short.copiedBytes < 2000, `${short.copiedBytes} bytes copied for a short request`);

  // Objects of the request, of its Decision and of its connections' reads and writes.
  assert.ok(short.heapBytes < 60 * 1024, `${short.heapBytes} bytes of the heap a request`);

  // Its Decision stays, and hardly more: what goes on holding what is over costs the collector most.
  const { keptBytes } = await each(little, 300);
  assert.ok(keptBytes < 5 * 1024, `${keptBytes} bytes of the heap outlive a request`);

  // A prompt is copied where its body is kept, and into what is hashed; it is sent from where it lies.
  const promptBytes = 200_000;
  const long = await each({ model, prompt: 'p'.repeat(promptBytes), max_tokens: 1 });
  assert.ok(long.writes < 6, `${long.writes} writes a request of ${promptBytes} bytes`);
  assert.ok(long.copiedBytes < 2.3 * promptBytes, `${long.copiedBytes} bytes copied for ${promptBytes}`);

  // An event is written once, whatever is read in it.
  const stream = await each({ model, prompt: 'stream', max_tokens: 1, stream: true });
  assert.ok(stream.writes < events + 6, `${stream.writes} writes for ${events} events`);
  assert.ok(stream.copiedBytes < events * 300, `${stream.copiedBytes} bytes copied for ${events} events`);

  // All of it is read into one buffer; the rest are questions to the engine on its health; else it were two a request at least.
  for (const { ownReads } of [short, long, stream]) assert.ok(ownReads < 1.5, `${ownReads} reads that took memory`);
});

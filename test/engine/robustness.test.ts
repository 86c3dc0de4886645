import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEngineServer, type EngineServer } from '../../src/engine/server/engine-server.ts';
import { eventually, repository, runCommand } from '../support/command.ts';

let server: EngineServer;
let url: string;

before(async () => {
  server = await startEngineServer({ model: 'tiny', port: 0, timeScale: 50 });
  url = `http://127.0.0.1:${server.port}`;
});
after(() => server.close());

function post(path: string, body: object, base = url): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

interface Answer {
  choices: { index: number; text: string; message: { content: string }; logprobs: null }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

async function answer(path: string, body: object): Promise<Answer> {
  const response = await post(path, { model: 'tiny', ...body });
  assert.equal(response.status, 200);
  return (await response.json()) as Answer;
}

test('usage counts each prompt once and all of its answers', async () => {
  const one = await answer('/v1/completions', { prompt: 'one two', max_tokens: 3 });
  const body = { prompt: ['one two', 'one two'], n: 2, temperature: 1, max_tokens: 3, min_tokens: 3 };
  const { choices, usage } = await answer('/v1/completions', body);
  assert.deepEqual(
    choices.map(({ index }) => index),
    [0, 1, 2, 3],
  );
  assert.equal(usage.prompt_tokens, 2 * one.usage.prompt_tokens);
  assert.equal(usage.completion_tokens, 12);
});

test('echo begins with the prompt; logprobs asked for are null', async () => {
  const { choices } = await answer('/v1/completions', { prompt: 'one two', max_tokens: 3, echo: true, logprobs: 2 });
  assert.ok(choices[0]!.text.startsWith('one two') && choices[0]!.text.length > 'one two'.length);
  assert.equal(choices[0]!.logprobs, null);
});

test('min_tokens holds a stop string off', async () => {
  const ask = { prompt: 'one two', max_tokens: 30, stop: ' ' };
  assert.equal((await answer('/v1/completions', ask)).usage.completion_tokens, 1);
  assert.ok((await answer('/v1/completions', { ...ask, min_tokens: 9 })).usage.completion_tokens >= 9);
});

test('a chat continued from part of its answer gives the rest of it', async () => {
  const user = { role: 'user', content: 'Tell me of trains.' };
  const ask = { messages: [user], max_tokens: 40, ignore_eos: true };
  const whole = (await answer('/v1/chat/completions', ask)).choices[0]!.message.content;
  const said = whole.split(' ').slice(0, 12).join(' ');
  const rest = await answer('/v1/chat/completions', {
    ...ask,
    messages: [user, { role: 'assistant', content: said }],
    add_generation_prompt: false,
    continue_final_message: true,
  });
  assert.ok((said + rest.choices[0]!.message.content).startsWith(whole));
});

test('embeddings as base64 are the same numbers', async () => {
  const ask = async (format: string): Promise<unknown> => {
    const body = { model: 'tiny', input: 'one', dimensions: 6, encoding_format: format };
    const answered = (await (await post('/v1/embeddings', body)).json()) as { data: { embedding: unknown }[] };
    return answered.data[0]!.embedding;
  };
  const bytes = Buffer.from((await ask('base64')) as string, 'base64');
  assert.deepEqual(
    Array.from({ length: 6 }, (_, index) => bytes.readFloatLE(4 * index)),
    await ask('float'),
  );
});

test('what can never fit the KV cache is a 400, and the engine goes on', async (t) => {
  const small = await startEngineServer({ model: 'tiny', port: 0, timeScale: 50, kvCacheTokens: 64 });
  t.after(() => small.close());
  const base = `http://127.0.0.1:${small.port}`;
  const tooLong = await post('/v1/completions', { model: 'tiny', prompt: 'word '.repeat(80), max_tokens: 1 }, base);
  assert.equal(tooLong.status, 400);
  assert.match(await tooLong.text(), /maximum context length is 64 tokens/);
  const chat = { model: 'tiny', messages: [{ role: 'user', content: 'x' }], ignore_eos: true };
  assert.equal((await post('/v1/chat/completions', chat, base)).status, 200);
});

test('a client that leaves while its huge prompt is read leaves nothing behind', async () => {
  const controller = new AbortController();
  const body = JSON.stringify({ model: 'tiny', prompt: 'x1 '.repeat(40_000), max_tokens: 100 });
  const headers = { 'content-type': 'application/json' };
  const asked = fetch(`${url}/v1/completions`, { method: 'POST', headers, body, signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(asked);
  await eventually('no load', 5_000, async () => {
    const { server_load: load } = (await (await fetch(`${url}/load`)).json()) as { server_load: number };
    return load === 0 ? true : null;
  });
});

test('a hung engine answers nothing, and goes on when it no longer hangs', async (t) => {
  const hanging = await startEngineServer({ model: 'tiny', port: 0, timeScale: 50 });
  t.after(() => hanging.close());
  const base = `http://127.0.0.1:${hanging.port}`;
  await post('/sim/failures', { mode: 'hang' }, base);
  const asked = [fetch(`${base}/health`), post('/v1/completions', { model: 'tiny', prompt: 'x' }, base)];
  const answered = await Promise.race([...asked, sleep(200, 'nothing')]);
  assert.equal(answered, 'nothing');
  await post('/sim/failures', { mode: 'none' }, base);
  const statuses = (await Promise.all(asked)).map(({ status }) => status);
  assert.deepEqual(statuses, [200, 200]);
});

test('while it starts it answers 503, then it is ready', async (t) => {
  const slow = await startEngineServer({ model: 'tiny', port: 0, startupSeconds: 0.3 });
  t.after(() => slow.close());
  const health = async (): Promise<number> => (await fetch(`http://127.0.0.1:${slow.port}/health`)).status;
  assert.equal(await health(), 503);
  await eventually('ready', 5_000, async () => ((await health()) === 200 ? true : null));
});

/** `signalbox engine` as a process; resolves when it listens. */
async function engineProcess(
  t: TestContext,
): Promise<{ base: string; signal(name: NodeJS.Signals): void; exit: Promise<unknown[]> }> {
  const main = join(repository, 'src/cli/main.ts');
  const child = spawn(process.execPath, [main, 'engine', '--model', 'tiny', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
  const base = await eventually('listens', 10_000, () => Promise.resolve(/http:\S+/.exec(log)?.[0] ?? null));
  return { base, signal: (name) => child.kill(name), exit };
}

const stream = { model: 'tiny', prompt: 'x', max_tokens: 60, ignore_eos: true, stream: true };

test('SIGTERM lets running streams end and refuses new requests; a second one does not wait', async (t) => {
  const [patient, hasty] = await Promise.all([engineProcess(t), engineProcess(t)]);
  const running = await post('/v1/completions', stream, patient.base);
  patient.signal('SIGTERM');
  await eventually('refuses', 2_000, async () => {
    const response = await post('/v1/completions', stream, patient.base);
    await response.body?.cancel();
    return response.status === 503 ? true : null;
  });
  assert.match(await running.text(), /\[DONE\]/);
  assert.equal((await patient.exit)[0], 0);

  const cut = await post('/v1/completions', { ...stream, max_tokens: 5_000 }, hasty.base);
  hasty.signal('SIGTERM');
  await sleep(50);
  hasty.signal('SIGTERM');
  await assert.rejects(cut.text());
  assert.equal((await hasty.exit)[0], 1);
});

test('an engine that was stopped for a while goes on where it was', async (t) => {
  const stopped = await engineProcess(t);
  const running = await post('/v1/completions', stream, stopped.base);
  stopped.signal('SIGSTOP');
  await sleep(300);
  stopped.signal('SIGCONT');
  const text = await running.text();
  assert.equal(text.match(/^data: \{/gm)?.length, 60);
});

test('a taken port is said in one line', async () => {
  const main = join(repository, 'src/cli/main.ts');
  const result = await runCommand(process.execPath, [main, 'engine', '--port', `${server.port}`]);
  assert.equal(result.status, 1);
  assert.match(result.stderr, new RegExp(`^signalbox: port ${server.port} on 127.0.0.1 is taken .*--port`));
});

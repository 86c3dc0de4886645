import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { startEngineServer, type EngineServer } from '../../src/engine/server/engine-server.ts';
import { eventually, repository } from '../support/command.ts';
import { complete } from '../support/stack.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';

let server: EngineServer;
let url: string;

before(async () => {
  server = await startEngineServer({ model: 'tiny', port: 0, maxModelLen: 2048, timeScale: 50 });
  url = `http://127.0.0.1:${server.port}`;
});
after(() => server.close());

interface Capture {
  method: string;
  path: string;
  headers: Record<string, string>;
  requestBody: string | null;
  status: number;
  body: string;
}

/** A recorded exchange with real vLLM. */
function capture(name: string): Capture {
  const lines = readFileSync(join(repository, `testdata/vllm/${name}.txt`), 'utf8').split('\n');
  const sent = lines.filter((line) => line.startsWith('> ')).map((line) => line.slice(2));
  const [method = '', path = ''] = sent[0]!.split(' ');
  const headers: Record<string, string> = {};
  let requestBody: string | null = null;
  for (const line of sent.slice(1)) {
    const header = /^([A-Za-z-]+): (.*)$/.exec(line);
    if (header !== null) headers[header[1]!] = header[2]!;
    else requestBody = line;
  }
  const status = Number(/^< 1\.1 (\d+)/m.exec(lines.join('\n'))?.[1]);
  const firstBlank = lines.findIndex((line) => line === '');
  const body = lines.slice(
    firstBlank + 1,
    lines.findLastIndex((line) => line.startsWith('# seconds')),
  );
  return { method, path, headers, requestBody, status, body: body.join('\n') };
}

function send({ method, path, headers, requestBody }: Capture, base = url): Promise<Response> {
  return fetch(base + path, { method, headers, body: requestBody });
}

/** What a value is made of: keys and kinds, without what differs from run to run. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
}

const errors = [
  'err_404',
  'err_405',
  'err_bad_model',
  'err_bad_model_chat',
  'err_bad_temp',
  'err_bad_type',
  'err_empty_prompt',
  'err_malformed_json',
  'err_missing_field',
  'err_neg_maxtok',
  'err_salt_empty',
  'err_token_oov',
  'err_too_long_maxtok',
  'err_wrong_ctype',
];
for (const name of errors) {
  test(`${name}: status and body as real vLLM`, async () => {
    const recorded = capture(name);
    const response = await send(recorded);
    assert.equal(response.status, recorded.status);
    assert.deepEqual(JSON.parse(await response.text()), JSON.parse(recorded.body));
  });
}

for (const name of ['chat', 'completion', 'completion_token_prompt', 'models', 'version']) {
  test(`${name}: an answer of the same shape as real vLLM's`, async () => {
    const recorded = capture(name);
    const response = await send(recorded);
    assert.equal(response.status, recorded.status);
    const [ours, theirs] = [JSON.parse(await response.text()), JSON.parse(recorded.body)].map(shape) as object[];
    // Cached tokens are told without a flag here.
    if (name !== 'models' && name !== 'version') {
      (theirs as { usage: Record<string, unknown> }).usage['prompt_tokens_details'] = {
        cached_tokens: 'number',
        created_cache_tokens: 'null',
        multimodal_tokens: 'null',
      };
    }
    assert.deepEqual(ours, theirs);
  });
}

for (const name of [
  'completion_stream',
  'completion_stream_usage',
  'completion_stream_continuous_usage',
  'chat_stream_usage',
  'chat_stream_token_ids',
]) {
  test(`${name}: a stream of the same chunks as real vLLM's`, async () => {
    const recorded = capture(name);
    const events = (text: string): string[] => text.split('\n\n').filter((line) => line !== '');
    const response = await send(recorded);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream; charset=utf-8$/);
    const shapes = (lines: string[]): unknown[] =>
      lines.map((line) => {
        if (line === 'data: [DONE]') return line;
        const seen = shape(JSON.parse(line.slice('data: '.length))) as { usage?: Record<string, unknown> };
        delete seen.usage?.['prompt_tokens_details'];
        return seen;
      });
    assert.deepEqual(shapes(events(await response.text())), shapes(events(recorded.body)));
  });
}

test('the request id of the header, else of the body, is part of the answer id', async () => {
  for (const name of ['xrid_header', 'xrid_body']) {
    const recorded = capture(name);
    const ours = (await (await send(recorded)).json()) as { id: string };
    assert.equal(ours.id, (JSON.parse(recorded.body) as { id: string }).id);
  }
});

test('the second of the walkthrough’s prompts finds the blocks that it shares with the first', async () => {
  const first = await complete(url, 'tiny', prompt1, 4);
  assert.equal(first.body.usage.prompt_tokens_details?.cached_tokens, 0);
  assert.ok(Math.abs(first.body.usage.prompt_tokens - 75) <= 15, `${first.body.usage.prompt_tokens} tokens`);
  const second = await complete(url, 'tiny', prompt2, 4);
  assert.equal(second.body.usage.prompt_tokens_details?.cached_tokens, 32);
});

test('metrics carry the names and labels that real vLLM has', async () => {
  await complete(url, 'tiny', 'warm', 3);
  const ours = await (await fetch(`${url}/metrics`)).text();
  const recorded = readFileSync(join(repository, 'testdata/vllm/metrics_after.txt'), 'utf8');
  const series = (text: string): Set<string> =>
    new Set(
      [...text.matchAll(/^(vllm:\w+)\{([^}]*)\} /gm)].map(
        ([, name, labels]) =>
          `${name}{${[...labels!.matchAll(/(\w+)=/g)]
            .map(([, key]) => key)
            .sort()
            .join(',')}}`,
      ),
    );
  const known = series(recorded);
  for (const name of series(ours)) {
    if (name.startsWith('vllm:cache_config_info')) continue; // fewer of its many labels
    assert.ok(known.has(name), `real vLLM has no ${name}`);
  }
  for (const name of [
    'num_requests_running',
    'num_requests_waiting',
    'kv_cache_usage_perc',
    'prefix_cache_hits_total',
  ]) {
    assert.match(ours, new RegExp(`^vllm:${name}\\{engine="0",model_name="tiny"\\} \\d`, 'm'));
  }
});

test('a full queue is 503, and in a stream 200 with the error as its first event', async (t) => {
  const small = await startEngineServer({ model: 'tiny', port: 0, maxNumSeqs: 1, maxQueuedRequests: 1 });
  t.after(() => small.close());
  const base = `http://127.0.0.1:${small.port}`;
  const controller = new AbortController();
  const body = JSON.stringify({ model: 'tiny', prompt: 'x', max_tokens: 400, ignore_eos: true });
  const post = (text: string): Promise<Response> =>
    fetch(`${base}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: text,
      signal: controller.signal,
    });
  const held = [post(body), post(body)].map((answer) => answer.catch(() => null));
  await eventually('one running, one waiting', 2_000, async () => {
    const metrics = await (await fetch(`${base}/metrics`)).text();
    return /num_requests_waiting\{[^}]*\} 1/.test(metrics) ? true : null;
  });
  assert.equal((await post(body)).status, 503);
  const stream = await post(JSON.stringify({ ...(JSON.parse(body) as object), stream: true }));
  assert.equal(stream.status, 200);
  const recorded = capture('queue_full_stream').body.trim().split('\n\n');
  const ours = (await stream.text()).trim().split('\n\n');
  assert.deepEqual(
    ours.map((line) => (line.includes('{') ? (JSON.parse(line.slice(6)) as object) : line)),
    recorded.map((line) => (line.includes('{') ? (JSON.parse(line.slice(6)) as object) : line)),
  );
  controller.abort();
  await Promise.all(held);
  await eventually('the engine notices that its clients left', 1_000, async () => {
    const metrics = await (await fetch(`${base}/metrics`)).text();
    return /num_requests_running\{[^}]*\} 0/.test(metrics) && /num_requests_waiting\{[^}]*\} 0/.test(metrics)
      ? true
      : null;
  });
});

test('the official client works against it unchanged', async () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  const whole = await client.completions.create({ model: 'tiny', prompt: 'Hello', max_tokens: 5 });
  assert.equal(whole.usage?.completion_tokens, 5);
  const messages = [{ role: 'user' as const, content: 'Hello' }];
  const chat = await client.chat.completions.create({ model: 'tiny', messages, max_tokens: 5 });
  let streamed = '';
  for await (const chunk of await client.chat.completions.create({
    model: 'tiny',
    messages,
    max_tokens: 5,
    stream: true,
  })) {
    streamed += chunk.choices[0]?.delta.content ?? '';
  }
  assert.equal(streamed, chat.choices[0]?.message.content);
  const embedding = await client.embeddings.create({ model: 'tiny', input: ['a', 'b'], dimensions: 8 });
  assert.deepEqual(
    embedding.data.map((each) => each.embedding.length),
    [8, 8],
  );
  assert.equal((await client.models.list()).data[0]?.id, 'tiny');
});

test('a stop string ends the answer before it', async () => {
  const { body } = await complete(url, 'tiny', 'Hello', 30);
  const text = body.choices[0]!.text;
  const stop = text.trim().split(' ')[4]!;
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', prompt: 'Hello', max_tokens: 30, stop: [stop] }),
  });
  const stopped = (await response.json()) as {
    choices: { text: string; finish_reason: string; stop_reason: string }[];
  };
  assert.equal(stopped.choices[0]?.text, text.slice(0, text.indexOf(stop)));
  assert.equal(stopped.choices[0]?.finish_reason, 'stop');
  assert.equal(stopped.choices[0]?.stop_reason, stop);
});

test('failures can be switched on while it runs', async (t) => {
  let died = false;
  const failing = await startEngineServer({ model: 'tiny', port: 0, timeScale: 50, die: () => (died = true) });
  t.after(() => failing.close());
  const base = `http://127.0.0.1:${failing.port}`;
  const set = (failures: object): Promise<Response> =>
    fetch(`${base}/sim/failures`, { method: 'POST', body: JSON.stringify(failures) });

  await set({ status: 500 });
  assert.equal((await complete(base, 'tiny', 'x', 2)).status, 500);
  await set({ stopStreamAfterChunks: 2 });
  const response = await fetch(`${base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', prompt: 'x', max_tokens: 9, stream: true }),
  });
  await assert.rejects(response.text());
  await set({ mode: 'drain' });
  assert.equal((await fetch(`${base}/health`)).status, 503);
  assert.equal((await set({ mode: 'sleep' })).status, 400);
  await set({ mode: 'die' });
  assert.ok(died);
});

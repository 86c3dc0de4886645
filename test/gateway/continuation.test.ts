import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { model, postJson, startEngine, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';

interface Told {
  text: string;
  ids: Set<string>;
  roles: number;
  finishReason: string | null;
  tokenIds: number[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
  error: { code: string; message: string } | null;
  done: boolean;
}

interface StreamEvent {
  id: string;
  choices?: {
    text?: string;
    delta?: { role?: string; content?: string };
    finish_reason?: string | null;
    token_ids?: number[] | null;
  }[];
  usage?: Told['usage'];
  error?: Told['error'];
}

/** What a client makes of a stream. */
async function told(response: Response): Promise<Told> {
  assert.equal(response.status, 200);
  const body = await response.text();
  const events = body.split('\n\n').filter(Boolean);
  const result: Told = {
    ...{ text: '', ids: new Set<string>(), roles: 0, finishReason: null, tokenIds: [], usage: null, error: null },
    done: events.at(-1) === 'data: [DONE]',
  };
  for (const event of events.filter((each) => each !== 'data: [DONE]')) {
    const { id, choices = [], usage = null, error = null } = JSON.parse(event.slice(6)) as StreamEvent;
    if (error !== null) result.error = error;
    else result.ids.add(id);
    result.usage = usage ?? result.usage;
    const [choice] = choices;
    if (choice === undefined) continue;
    result.text += choice.text ?? choice.delta?.content ?? '';
    if (choice.delta?.role !== undefined) result.roles += 1;
    result.tokenIds.push(...(choice.token_ids ?? []));
    if (typeof choice.finish_reason === 'string') {
      assert.equal(result.finishReason, null, 'it ends once');
      result.finishReason = choice.finish_reason;
    }
  }
  return result;
}

const paths = { completions: '/v1/completions', chat: '/v1/chat/completions' } as const;

/** Two engines that break every stream off after `chunks`, behind a gateway, and one that does not, apart. */
async function breaking(t: TestContext, chunks: number) {
  const failures = { stopStreamAfterChunks: chunks };
  const engines = [await startEngine(t, { failures }), await startEngine(t, { failures })];
  const whole = await startEngine(t);
  const gateway = await startTestGateway(
    t,
    engines.map(({ url }) => url),
  );
  await until(async () => (await known(gateway.adminUrl)) === engines.length);
  return { gateway, whole };
}

/** Endpoints whose metrics have been read, so that it is known which engine they are. */
async function known(adminUrl: string): Promise<number> {
  const endpoints = (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as { waiting: number | null }[];
  return endpoints.filter(({ waiting }) => waiting !== null).length;
}

const ask = (url: string, kind: keyof typeof paths, body: object): Promise<Told> =>
  postJson(`${url}${paths[kind]}`, { model, stream: true, ...body }).then(told);

const usage = { stream_options: { include_usage: true } };
const messages = [{ role: 'user', content: 'Which way does the train go?' }];
const prompt = 'Which way does the train go?';

const streams = [
  ['a completion', 'completions', { prompt, max_tokens: 30, ...usage }],
  ['a completion of the default length', 'completions', { prompt, ...usage }],
  ['a completion without usage', 'completions', { prompt, max_tokens: 25 }],
  ['a completion with a stop string', 'completions', { prompt, max_tokens: 60, stop: ['. The', ' the'], ...usage }],
  ['token ids', 'completions', { prompt: [12, 45, 200, 301, 17], max_tokens: 30, ...usage }],
  ['token ids that come back', 'completions', { prompt, max_tokens: 30, return_token_ids: true, ...usage }],
  [
    'usage in every event',
    'completions',
    { prompt, max_tokens: 30, stream_options: { include_usage: true, continuous_usage_stats: true } },
  ],
  ['a chat', 'chat', { messages, max_tokens: 30, ...usage }],
  ['a chat without a limit of its own', 'chat', { messages, max_completion_tokens: 28 }],
  [
    'a chat that is itself a continuation',
    'chat',
    {
      messages: [...messages, { role: 'assistant', content: 'Over the' }],
      ...{ continue_final_message: true, add_generation_prompt: false, max_tokens: 30 },
      ...usage,
    },
  ],
] as const;

for (const chunks of [1, 2, 7]) {
  test(`streams that break every ${chunks} events are whole answers`, async (t) => {
    const { gateway, whole } = await breaking(t, chunks);
    for (const [name, kind, sent] of streams) {
      // How often it is tried again is bounded, for one request and for all.
      const limit = kind === 'chat' ? { max_tokens: 12, max_completion_tokens: 12 } : { max_tokens: 12 };
      const body = chunks < 5 ? { ...sent, ...limit } : sent;
      const expected = await ask(whole.url, kind, body);
      const got = await ask(gateway.url, kind, body);
      assert.equal(got.error, null, name);
      assert.equal(got.text, expected.text, name);
      assert.deepEqual(got.usage, expected.usage === null ? null : { ...expected.usage, ...cached(got) }, name);
      assert.deepEqual(got.tokenIds, expected.tokenIds, name);
      assert.equal(got.finishReason, expected.finishReason, name);
      assert.equal(got.roles, expected.roles, name);
      assert.equal(got.ids.size, 1, name);
      assert.ok(got.done, name);
    }
    await until(async () => (await inFlight(gateway.adminUrl)) === 0);
  });
}

function cached({ usage }: Told): object {
  const details = (usage as { prompt_tokens_details?: unknown } | null)?.prompt_tokens_details;
  return details === undefined ? {} : { prompt_tokens_details: details };
}

async function inFlight(adminUrl: string): Promise<number> {
  const endpoints = (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as { inFlight: number }[];
  return endpoints.reduce((sum, each) => sum + each.inFlight, 0);
}

const against = [
  ['it has several answers', 'completions', { prompt, n: 2, temperature: 1 }],
  ['it has several answers', 'completions', { prompt, best_of: 2 }],
  ['it repeats the prompt (echo)', 'completions', { prompt, echo: true }],
  ['it has log probabilities', 'completions', { prompt, logprobs: 0 }],
  ['it has log probabilities', 'chat', { messages, logprobs: true }],
  ['its form is prescribed', 'chat', { messages, response_format: { type: 'json_object' } }],
  ['its form is prescribed', 'completions', { prompt, structured_outputs: { regex: 'a+' } }],
  ['its form is prescribed', 'completions', { prompt, guided_choice: ['a', 'b'] }],
  ['it has tool calls', 'chat', { messages, tool_choice: 'required' }],
  ['min_tokens counts what was said', 'completions', { prompt, min_tokens: 3 }],
  ['a penalty counts what was said', 'completions', { prompt, presence_penalty: 0.5 }],
  ['a penalty counts what was said', 'chat', { messages, frequency_penalty: -0.5 }],
] as const;

test('where going on would not be right, the stream ends with an error that says why', async (t) => {
  const { gateway } = await breaking(t, 3);
  for (const [why, kind, body] of against) {
    const { error, done } = await ask(gateway.url, kind, { max_tokens: 20, ...body });
    assert.equal(error?.code, 'endpoint_failed', why);
    assert.ok(error.message.includes(why), error.message);
    assert.ok(done);
  }
});

test('a request or a pool may do without', async (t) => {
  const { gateway } = await breaking(t, 3);
  const body = { model, prompt, max_tokens: 20, stream: true };
  const headers = { 'x-signalbox-continuation': 'off' };
  const off = await told(await postJson(`${gateway.url}/v1/completions`, body, { headers }));
  assert.match(off.error?.message ?? '', /lost in the middle of its answer: connection lost\.$/);

  const engine = await startEngine(t, { failures: { stopStreamAfterChunks: 3 } });
  const without = await startTestGateway(t, [engine.url], { continuation: false });
  assert.equal((await ask(without.url, 'completions', { prompt, max_tokens: 20 })).error?.code, 'endpoint_failed');
});

/** An engine that begins a stream with `events` and then does what `then` says, and one that goes on as vLLM would. */
async function beginning(t: TestContext, events: readonly object[], then: (end: () => void, cut: () => void) => void) {
  const bad = await startStub(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
    response.write(text, () =>
      then(
        () => response.end(),
        () => void request.socket.destroy(),
      ),
    );
  });
  return bad;
}

const piece = (text: string, rest: object = {}) => ({
  id: 'cmpl-1',
  created: 1,
  choices: [{ index: 0, text, ...rest }],
});

/** What the second endpoint is asked when the first breaks after `events`; it answers with `rest`. */
async function goOn(
  t: TestContext,
  body: object,
  events: readonly object[],
  rest: readonly object[],
  then: (end: () => void, cut: () => void) => void = (_end, cut) => cut(),
) {
  const bad = await beginning(t, events, then);
  const asked: Record<string, unknown>[] = [];
  const good = await startStub(
    t,
    (request, response, text) => {
      if (request.url === '/tokenize') {
        const words = (JSON.parse(text) as { prompt: string }).prompt.split(' ').filter(Boolean);
        response.end(JSON.stringify({ count: words.length, tokens: words.map((_, index) => 100 + index) }));
        return;
      }
      asked.push(JSON.parse(text) as Record<string, unknown>);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(rest.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('') + 'data: [DONE]\n\n');
    },
    ['/tokenize'],
  );
  // By load alone, chance decides which of two idle endpoints is asked first.
  const policy = { environment: { ENABLE_LOAD_AWARE_SCORER: 'true' } };
  const gateway = await startTestGateway(t, [bad.url, good.url], { policy });
  for (;;) {
    const result = await ask(gateway.url, 'completions', body);
    if (bad.requests.length > 0) return { result, asked: asked.at(-1) ?? {} };
    asked.length = 0;
  }
}

const finish = { finish_reason: 'stop' };

test("a real vLLM's way of saying that its engine died is not passed on", async (t) => {
  const died = { error: { message: 'EngineCore encountered an issue.', type: 'InternalServerError', code: 500 } };
  const { result, asked } = await goOn(
    t,
    { prompt: 'p', max_tokens: 9 },
    [piece('one'), piece(' two'), died],
    [piece(' three', finish)],
    (end) => end(),
  );
  assert.equal(result.error, null);
  assert.equal(result.text, 'one two three');
  assert.deepEqual([asked['prompt'], asked['max_tokens']], ['pone two', 7]);
});

for (const reason of ['abort', 'error']) {
  test(`an engine that gives a stream up with "${reason}" is taken at its word`, async (t) => {
    const { result } = await goOn(
      t,
      { prompt: 'p', max_tokens: 9 },
      [piece('one'), piece('', { finish_reason: reason })],
      [piece(' two', finish)],
      (end) => end(),
    );
    assert.deepEqual([result.text, result.finishReason], ['one two', 'stop']);
  });
}

test('a stream that ends cleanly without having come to its end is gone on with', async (t) => {
  const { result } = await goOn(t, { prompt: 'p', max_tokens: 9 }, [piece('one')], [piece(' two', finish)], (end) =>
    end(),
  );
  assert.deepEqual([result.text, result.finishReason], ['one two', 'stop']);
});

test('one whose last event was lost after its finish reason is complete', async (t) => {
  const { result, asked } = await goOn(t, { prompt: 'p', max_tokens: 9 }, [piece('one', finish)], []);
  assert.deepEqual([result.text, result.finishReason, result.done], ['one', 'stop', true]);
  assert.deepEqual(asked, {}, 'nobody was asked for anything');
});

test('where only usage is missing, only usage is asked for', async (t) => {
  const rest = [
    piece(' never said', { finish_reason: 'length' }),
    { id: 'cmpl-2', choices: [], usage: { prompt_tokens: 11, completion_tokens: 1, total_tokens: 12 } },
  ];
  const { result, asked } = await goOn(t, { prompt: 'p', max_tokens: 9, ...usage }, [piece('one two', finish)], rest);
  assert.deepEqual([result.text, result.finishReason], ['one two', 'stop']);
  assert.equal(asked['max_tokens'], 1);
  assert.deepEqual(result.usage, { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 });
});

test('one that had said all it may, but not that it ends, ends there', async (t) => {
  const rest = [piece(' never said', { finish_reason: 'length' })];
  const { result } = await goOn(t, { prompt: 'p', max_tokens: 2 }, [piece('one'), piece(' two')], rest);
  assert.deepEqual([result.text, result.finishReason], ['one two', 'length']);
});

test('token ids of which only the text came back are asked for again', async (t) => {
  const { asked } = await goOn(t, { prompt: [1, 2, 3], max_tokens: 9 }, [piece('one two')], [piece(' three', finish)]);
  assert.deepEqual(asked['prompt'], [1, 2, 3, 100, 101]);
});

test('a character that is not whole cannot be gone on from, unless its tokens are known', async (t) => {
  const half = [piece('one'), piece('\ufffd')];
  const { result } = await goOn(t, { prompt: 'p', max_tokens: 9 }, half, [piece('x', finish)]);
  assert.match(result.error?.message ?? '', /characters that are not whole/);

  const ids = [piece('one', { token_ids: [7], prompt_token_ids: [1, 2] }), piece('\ufffd x', { token_ids: [8, 9] })];
  const body = { prompt: 'p', max_tokens: 9, return_token_ids: true };
  const exact = await goOn(t, body, ids, [piece(' three', { ...finish, prompt_token_ids: [1, 2, 7, 8, 9] })]);
  assert.equal(exact.result.text, 'one\ufffd x three');
  assert.deepEqual([exact.asked['prompt'], exact.asked['max_tokens']], [[1, 2, 7, 8, 9], 6]);
});

test('a stop string across the break is an error, one that only seems to begin there is not', async (t) => {
  const body = { prompt: 'p', max_tokens: 9, stop: ['###'] };
  const across = await goOn(t, body, [piece('one #')], [piece('#'), piece('# two', finish)]);
  assert.match(across.result.error?.message ?? '', /a stop string lies across the break/);
  const beside = await goOn(t, body, [piece('one #')], [piece('#'), piece(' two', finish)]);
  assert.deepEqual([beside.result.text, beside.result.error], ['one ## two', null]);
});

test('a client that leaves while the rest is asked for is let go of', async (t) => {
  let asked = false;
  let left = false;
  const bad = await beginning(t, [piece('one')], (_end, cut) => cut());
  const slow = await startStub(t, (_request, response) => {
    asked = true;
    response.on('close', () => (left = true));
  });
  const gateway = await startTestGateway(t, [bad.url, slow.url]);
  const abort = new AbortController();
  const body = { model, prompt, max_tokens: 9, stream: true };
  while (!asked) {
    const { signal } = abort;
    void postJson(`${gateway.url}/v1/completions`, body, { signal }).catch(() => undefined);
    await new Promise((next) => setTimeout(next, 50));
  }
  abort.abort();
  await until(() => left);
  await until(async () => (await inFlight(gateway.adminUrl)) === 0);
});

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { postJson, model, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import { kvEventsOn } from '../support/kv-events.ts';

interface Prefixes {
  endpoints: { name: string; knowledge: string; prediction: { reports: number; error: number | null } }[];
  models: { model: string; completions: string; chat: string; verified: boolean }[];
  prefixes: { tokens: number; hits: number; endpoints: { name: string }[] }[];
}

/** Where the most of the prompt is cached, and nothing else. */
const byPrefix = `
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins: [{ type: prefix-cache-scorer }, { type: max-score-picker }]
schedulingProfiles:
  - name: default
    plugins: [{ pluginRef: prefix-cache-scorer }, { pluginRef: max-score-picker }]
`;

async function startPrecise(t: TestContext, engines: number, options: Parameters<typeof startEngine>[1] = {}) {
  const started = await Promise.all(
    Array.from({ length: engines }, (_, seed) => startEngine(t, { kvEvents: kvEventsOn, seed, ...options })),
  );
  const gateway = await startTestGateway(
    t,
    started.map(({ url }) => url),
    { policy: { environment: {}, configText: byPrefix } },
  );
  const prefixes = async (): Promise<Prefixes> =>
    (await (await fetch(`${gateway.adminUrl}/api/prefixes`)).json()) as Prefixes;
  await until(async () => (await prefixes()).endpoints.every(({ knowledge }) => knowledge === 'complete'));
  // The first request for a model has its tokenizer looked for.
  await until(async () => {
    await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', max_tokens: 1 });
    return (await prefixes()).models.length > 0;
  });
  const decisionOf = async (response: Response) => {
    const id = response.headers.get('x-signalbox-decision')!;
    return (await (await fetch(`${gateway.adminUrl}/api/decisions/${id}`)).json()) as {
      promptTokens: number;
      predicted: { cachedTokens: number };
      inputs: Record<string, { cachedTokens: number }>;
    };
  };
  return { engines: started, gateway, prefixes, decisionOf };
}

type Usage = { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
const usageOf = async (response: Response): Promise<Usage & { text: string }> => {
  const body = (await response.json()) as { usage: Usage; choices: { message?: { content: string }; text?: string }[] };
  const [choice] = body.choices;
  return { ...body.usage, text: choice?.message?.content ?? choice?.text ?? '' };
};

const long = 'The box at the junction sets every point before a train is let through. '.repeat(20);

test('the tokenizer is found, and held against the engine', async (t) => {
  const { prefixes } = await startPrecise(t, 1);
  const [found] = (await prefixes()).models;
  assert.deepEqual([found!.completions, found!.chat, found!.verified], ['tokenizer', 'tokenizer', true]);
});

test('what was sent straight to an engine is known to be there, and after a reset it is not', async (t) => {
  const { engines, gateway, decisionOf } = await startPrecise(t, 2);
  const requests: [string, object][] = [
    ['/v1/completions', { model, prompt: long, max_tokens: 1 }],
    ['/v1/completions', { model, prompt: long, max_tokens: 1, cache_salt: 'tenant' }],
    [
      '/v1/chat/completions',
      { model, messages: [{ role: 'user', content: [{ type: 'text', text: `Hello. ${long}` }] }], max_tokens: 1 },
    ],
  ];
  for (const [path, body] of requests) {
    const direct = await usageOf(await postJson(`${engines[1]!.url}${path}`, body));
    assert.equal(direct.prompt_tokens_details.cached_tokens, 0);
    await new Promise((next) => setTimeout(next, 100));
    const response = await postJson(`${gateway.url}${path}`, body);
    const decision = await decisionOf(response);
    const { prompt_tokens: promptTokens, prompt_tokens_details: details } = await usageOf(response);
    assert.equal(decision.promptTokens, promptTokens, 'counted by the model’s own tokenizer');
    assert.equal(decision.predicted.cachedTokens, Math.floor((promptTokens - 1) / 16) * 16);
    assert.equal(details.cached_tokens, decision.predicted.cachedTokens);
  }
  await postJson(`${engines[1]!.url}/reset_prefix_cache`, {});
  await postJson(`${engines[1]!.url}/v1/completions`, {
    model,
    prompt: 'something else that fills a block '.repeat(9),
  });
  await new Promise((next) => setTimeout(next, 100));
  const decision = await decisionOf(await postJson(`${gateway.url}/v1/completions`, requests[0]![1]));
  assert.ok(Object.values(decision.inputs).every(({ cachedTokens }) => cachedTokens === 0));
});

for (const blockSize of [16, 32]) {
  test(`over conversations of many turns the prediction is what engines report (blocks of ${blockSize})`, (t) =>
    converse(t, blockSize));
}

async function converse(t: TestContext, blockSize: number): Promise<void> {
  const { gateway, decisionOf, prefixes } = await startPrecise(t, 2, { blockSize });
  const system = { role: 'system', content: long };
  await Promise.all(
    Array.from({ length: 4 }, async (_, user) => {
      const messages: { role: string; content: string }[] = [system];
      for (let turn = 0; turn < 6; turn++) {
        messages.push({
          role: 'user',
          content: `User ${user} asks for the ${turn}th time: what now? ${long.slice(0, 300)}`,
        });
        const response = await postJson(`${gateway.url}/v1/chat/completions`, { model, messages, max_tokens: 20 });
        const usage = await usageOf(response);
        messages.push({ role: 'assistant', content: usage.text });
        const decision = await decisionOf(response);
        assert.equal(decision.promptTokens, usage.prompt_tokens);
        if (turn === 0) continue; // those that begin at the same moment race for the system prompt
        assert.equal(decision.predicted.cachedTokens, usage.prompt_tokens_details.cached_tokens, `turn ${turn}`);
      }
    }),
  );
  const { endpoints, prefixes: hot } = await prefixes();
  assert.ok(endpoints.some(({ prediction }) => prediction.reports > 0));
  assert.ok(hot.length > 0 && hot.every((prefix) => prefix.tokens > 0 && prefix.hits > 0));
}

test('adapters share nothing with their model, and are known by their names', async (t) => {
  const loraModules = [{ name: 'mine', path: '/adapters/mine' }];
  const { engines, gateway, decisionOf } = await startPrecise(t, 1, { enableLora: true, loraModules });
  await postJson(`${engines[0]!.url}/v1/completions`, { model: 'mine', prompt: long, max_tokens: 1 });
  await new Promise((next) => setTimeout(next, 100));
  const base = await decisionOf(
    await postJson(`${gateway.url}/v1/completions`, { model, prompt: long, max_tokens: 1 }),
  );
  assert.equal(base.predicted.cachedTokens, 0);
  await until(async () => {
    const response = await postJson(`${gateway.url}/v1/completions`, { model: 'mine', prompt: long, max_tokens: 1 });
    const decision = await decisionOf(response);
    return decision.predicted.cachedTokens === (await usageOf(response)).prompt_tokens_details.cached_tokens;
  });
});

test('responses and messages are placed by their conversations', async (t) => {
  const { gateway, engines } = await startPrecise(t, 2);
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: long },
  ];
  await postJson(`${engines[1]!.url}/v1/chat/completions`, { model, messages, max_tokens: 1 });
  await new Promise((next) => setTimeout(next, 100));
  for (const [path, body] of [
    [
      '/v1/messages',
      { model, system: 'Be brief.', messages: [{ role: 'user', content: [{ type: 'text', text: long }] }] },
    ],
    ['/v1/responses', { model, instructions: 'Be brief.', input: long }],
  ] as const) {
    const response = await postJson(`${gateway.url}${path}`, body);
    assert.equal(response.headers.get('x-signalbox-endpoint'), engines[1]!.url.replace('http://', ''), path);
  }
});

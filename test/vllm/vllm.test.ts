import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { eventually, freePort } from '../support/command.ts';
import { complete, getJson, startStack } from '../support/stack.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';
import { makeTinyModel } from './make-tiny-model.ts';
import { startVllm, type Vllm } from './start-vllm.ts';

/** A real vLLM (CPU build, a two-layer model without weights) behind the gateway. */
const folder = mkdtempSync(join(tmpdir(), 'signalbox-vllm-'));
let engine: Vllm | undefined;
let engineUrl: string;

before(async () => {
  makeTinyModel(join(folder, 'tiny'));
  engine = await startVllm(folder, 'vllm', await freePort(), []);
  engineUrl = engine.url;
});

after(() => engine?.kill());

test('a real vLLM behind --endpoint serves both prompts, with a hit on the second', async (t) => {
  const stack = await startStack(t, ['./signalbox'], ['--endpoint', engineUrl]);

  const first = await complete(stack.url, 'tiny', prompt1, 8);
  assert.equal(first.status, 200);
  const second = await complete(stack.url, 'tiny', prompt2, 8);
  assert.equal(second.status, 200);
  assert.ok((second.body.usage.prompt_tokens_details?.cached_tokens ?? 0) > 0, 'vLLM reports cached tokens');

  const decision = await eventually('the outcome of the second decision', 1_000, async () => {
    const id = second.headers.get('x-signalbox-decision') ?? '';
    const found = await getJson<DecisionShape>(`${stack.adminUrl}/api/decisions/${id}`);
    return found.outcome === null ? null : found;
  });
  const scorer = decision.profiles[0]?.scorers.find((each) => each.type === 'prefix-aware-scorer');
  assert.ok(
    Object.values(scorer?.scores ?? {}).some((score) => score > 0),
    'the prefix scorer saw the hit coming',
  );
  assert.equal(decision.outcome?.cachedTokens, second.body.usage.prompt_tokens_details?.cached_tokens);
});

test('the official client streams chat from a real vLLM, with usage', async (t) => {
  const stack = await startStack(t, ['./signalbox'], ['--endpoint', engineUrl]);
  const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none' });
  assert.deepEqual(
    (await client.models.list()).data.map((model) => model.id),
    ['tiny'],
  );
  const stream = await client.chat.completions.create({
    model: 'tiny',
    messages: [{ role: 'user', content: 'Say something.' }],
    max_tokens: 6,
    stream: true,
    stream_options: { include_usage: true },
  });
  let completionTokens: number | undefined;
  for await (const chunk of stream) completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
  assert.equal(completionTokens, 6);
});

test("vLLM's own errors reach the client as they are", async (t) => {
  const stack = await startStack(t, ['./signalbox'], ['--endpoint', engineUrl]);
  const response = await fetch(`${stack.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', prompt: 'x', temperature: -1 }),
  });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /temperature must be non-negative/);
});

test('vLLM gauges are read', async (t) => {
  const stack = await startStack(t, ['./signalbox'], ['--endpoint', engineUrl]);
  await complete(stack.url, 'tiny', prompt1, 4);
  const endpoint = await eventually('gauges of vLLM', 10_000, async () => {
    const [found] = await getJson<{ name: string; waiting: number | null; kvUsage: number | null }[]>(
      `${stack.adminUrl}/api/endpoints`,
    );
    return found !== undefined && found.waiting !== null && found.kvUsage !== null ? found : null;
  });
  assert.equal(endpoint.waiting, 0);
});

interface DecisionShape {
  profiles: { scorers: { type: string; scores: Record<string, number> }[] }[];
  outcome: { cachedTokens: number | null } | null;
}

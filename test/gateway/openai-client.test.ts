import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import type { DecisionJson } from '../../src/journal/decision-schema.ts';

test('the official client works unchanged, streaming and not', async (t) => {
  const engines = [await startEngine(t), await startEngine(t)];
  const gateway = await startTestGateway(
    t,
    engines.map(({ url }) => url),
  );
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });

  const completion = await client.completions.create({ model, prompt: 'Say something.', max_tokens: 8 });
  assert.equal(completion.usage?.completion_tokens, 8);
  assert.notEqual(completion.choices[0]?.text, '');

  const messages = [{ role: 'user' as const, content: 'Say something.' }];
  const chat = await client.chat.completions.create({ model, messages, max_tokens: 8 });
  const whole = chat.choices[0]?.message.content ?? '';
  assert.notEqual(whole, '');

  let streamed = '';
  for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 8, stream: true })) {
    streamed += chunk.choices[0]?.delta.content ?? '';
  }
  assert.equal(streamed, whole);

  const embedding = await client.embeddings.create({ model, input: 'x' });
  assert.ok(embedding.data[0]!.embedding.length > 0);
  const models = await client.models.list();
  assert.deepEqual(
    models.data.map(({ id }) => id),
    [model],
  );
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.completions.create({ model: 'no/such', prompt: 'x' }), {
    status: 404,
    code: 'model_unknown',
    message: /toy\/model/,
  });
});

test('the second prompt of the walkthrough follows the first, and the engine agrees', async (t) => {
  const engines = [await startEngine(t), await startEngine(t)];
  const gateway = await startTestGateway(
    t,
    engines.map(({ url }) => url),
  );
  const ask = async (prompt: string): Promise<{ decision: DecisionJson; cached: number }> => {
    const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt, max_tokens: 8 });
    assert.equal(response.status, 200);
    const answer = (await response.json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } };
    const id = response.headers.get('x-signalbox-decision');
    const decision = (await (await fetch(`${gateway.adminUrl}/api/decisions/${id}`)).json()) as DecisionJson;
    assert.equal(decision.picked, response.headers.get('x-signalbox-endpoint'));
    return { decision, cached: answer.usage.prompt_tokens_details.cached_tokens };
  };
  const score = ({ picked, profiles }: DecisionJson, type: string): number =>
    profiles[0]!.scorers.find((scorer) => scorer.type === type)!.scores[picked!]!;

  const first = await ask(prompt1);
  assert.equal(first.cached, 0);
  assert.equal(first.decision.predicted.cachedTokens, 0);
  const second = await ask(prompt2);
  assert.equal(second.decision.picked, first.decision.picked);
  assert.ok(second.decision.predicted.cachedTokens! > 0);
  assert.ok(second.cached > 0);
  assert.equal(second.decision.outcome?.cachedTokens, second.cached);
  assert.equal(second.decision.outcome?.status, 200);
  if (second.decision.profiles[0]!.scorers.some(({ type }) => type === 'prefix-aware-scorer')) {
    assert.equal(score(first.decision, 'load-aware-scorer'), 0.5);
    assert.equal(score(first.decision, 'prefix-aware-scorer'), 0);
    assert.ok(score(second.decision, 'prefix-aware-scorer') > 0);
  }
});

test('a stream teaches what it took, and shows it only to those who asked', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'Say something.' }];
  const common = { model, messages, max_tokens: 8, stream: true as const };
  for (const asked of [false, true]) {
    const options = asked ? { stream_options: { include_usage: true } } : {};
    const { data, response } = await client.chat.completions.create({ ...common, ...options }).withResponse();
    let usages = 0;
    let endings = 0;
    for await (const chunk of data) {
      if (chunk.usage != null) usages++;
      if (chunk.choices.length === 0) endings++;
    }
    assert.deepEqual([usages, endings], asked ? [1, 1] : [0, 0]);
    const id = response.headers.get('x-signalbox-decision');
    const url = `${gateway.adminUrl}/api/decisions/${id}`;
    await until(async () => ((await (await fetch(url)).json()) as DecisionJson).outcome !== null);
    const { outcome } = (await (await fetch(url)).json()) as DecisionJson;
    assert.equal(outcome?.completionTokens, 8);
    assert.notEqual(outcome.promptTokens, null);
  }
});

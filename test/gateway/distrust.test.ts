import assert from 'node:assert/strict';
import { test } from 'node:test';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import { kvEventsOn } from '../support/kv-events.ts';
import { metricAt } from '../support/split-fleet.ts';

interface Prefixes {
  endpoints: { knowledge: string; kvEvents: { restarts: number } | null }[];
  models: unknown[];
}

test('an engine whose events are not what it reports is asked for all of them again, then not believed for a while', async (t) => {
  const engine = await startEngine(t, { kvEvents: kvEventsOn });
  const gateway = await startTestGateway(t, [engine.url]);
  const endpoint = new URL(engine.url).host;
  const prefixes = async (): Promise<Prefixes> =>
    (await (await fetch(`${gateway.adminUrl}/api/prefixes`)).json()) as Prefixes;
  const metric = (name: string): Promise<number> =>
    metricAt(gateway.adminUrl, `signalbox_endpoint_${name}{endpoint="${endpoint}"`);
  const distrusted = (): Promise<number> => metric('kv_events_distrusted_total');
  const isKnown = async (): Promise<boolean> => {
    const { endpoints, models } = await prefixes();
    return models.length > 0 && endpoints[0]!.knowledge === 'complete';
  };
  await until(isKnown);
  const ask = async (prompt: string): Promise<{ predicted: number; reported: number }> => {
    const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt, max_tokens: 1 });
    const id = response.headers.get('x-signalbox-decision')!;
    const { usage } = (await response.json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } };
    const decision = (await (await fetch(`${gateway.adminUrl}/api/decisions/${id}`)).json()) as {
      predicted: { cachedTokens: number };
    };
    return { predicted: decision.predicted.cachedTokens, reported: usage.prompt_tokens_details.cached_tokens };
  };
  const prompts = Array.from(
    { length: 4 },
    (_, each) => `Number ${each}. ${'What it said is what it has. '.repeat(30)}`,
  );
  for (const prompt of prompts) await ask(prompt);
  for (const prompt of prompts) {
    const { predicted, reported } = await ask(prompt);
    assert.ok(reported > 100);
    assert.equal(predicted, reported);
  }
  assert.equal(await distrusted(), 0);

  // From here on its cache is emptied again and again, and its events do not say so.
  await postJson(`${engine.url}/sim/failures`, { loseKvEvents: true });
  const askWithoutCache = async (count: number): Promise<{ predicted: number; reported: number }> => {
    await postJson(`${engine.url}/reset_prefix_cache`, {});
    return ask(prompts[count % prompts.length]!);
  };
  let count = 0;
  let worst = 0;
  while ((await distrusted()) === 0) {
    const { predicted, reported } = await askWithoutCache(count++);
    assert.equal(reported, 0);
    assert.ok(predicted > 100, 'its events say so');
    const error = await metric('prediction_error');
    if (error > worst) worst = error; // it is not known any more once it was acted upon
    assert.ok(count < 50, 'a difference that persists is noticed');
  }
  assert.ok(count > 1, 'one wrong prediction is no lie');
  assert.ok(worst > 0.05, 'the gauge shows it');

  await until(isKnown); // it tells the same again
  while ((await distrusted()) === 1) {
    await askWithoutCache(count++);
    assert.ok(count < 100, 'the same lie is not believed for ever');
  }
  assert.equal((await prefixes()).endpoints[0]!.knowledge, 'none');

  // What was sent there has to do, and does.
  await postJson(`${engine.url}/reset_prefix_cache`, {});
  const fresh = `Something new. ${'What was sent there is known to be there. '.repeat(30)}`;
  await ask(fresh);
  const { predicted, reported } = await ask(fresh);
  assert.ok(reported > 100 && Math.abs(predicted - reported) <= 32, `${predicted} predicted, ${reported} reported`);
});

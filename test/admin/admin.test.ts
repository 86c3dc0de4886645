import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import type { DecisionJson } from '../../src/journal/decision-json.ts';

async function json<Body>(response: Promise<Response>): Promise<Body> {
  return (await (await response).json()) as Body;
}

test('shows endpoints, decisions, prefixes and metrics of what went through', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const prompt = 'a prompt that is long enough for a few blocks '.repeat(8);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    const response = await postJson(
      `${gateway.url}/v1/completions`,
      { model, prompt, max_tokens: 2, stream: true, stream_options: { include_usage: true } },
      { headers: { 'x-request-id': `mine-${i}` } },
    );
    await response.text();
    ids.push(response.headers.get('x-signalbox-decision')!);
  }
  const list = (query: string) => json<DecisionJson[]>(fetch(`${gateway.adminUrl}/api/decisions${query}`));
  await until(async () => (await list('?limit=1'))[0]!.outcome !== null);
  assert.deepEqual(
    (await list('?limit=2')).map(({ id }) => id),
    [ids[2], ids[1]],
  );
  assert.deepEqual(
    (await list(`?after=${ids[0]}`)).map(({ id }) => id),
    [ids[1], ids[2]],
  );
  assert.equal((await fetch(`${gateway.adminUrl}/api/decisions?limit=no`)).status, 400);
  const decision = await json<DecisionJson>(fetch(`${gateway.adminUrl}/api/decisions/mine-2`));
  assert.equal(decision.id, ids[2]);
  assert.ok(decision.outcome!.ttftSeconds! > 0);
  assert.ok(decision.outcome!.cachedTokens! > 0);
  assert.equal((await fetch(`${gateway.adminUrl}/api/decisions/none`)).status, 404);

  const prefixes = await json<{ endpoints: { blocks: number }[] }>(fetch(`${gateway.adminUrl}/api/prefixes`));
  assert.equal(prefixes.endpoints[0]!.blocks, Math.floor(prompt.length / 64));

  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const labels = `model_name="${model}",target_model_name="${model}"`;
  assert.match(metrics, new RegExp(`^llm_d_epp_request_total\\{${labels}\\} 3$`, 'm'));
  assert.match(metrics, /^inference_pool_ready_pods\{.*\} 1$/m);
  assert.match(metrics, /^llm_d_epp_request_ttft_seconds_count\{.*streaming="true"\} 3$/m);
  assert.match(metrics, /^signalbox_endpoint_inflight_requests\{.*\} 0$/m);
  for (const line of metrics.trimEnd().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) \S+ .+|[a-z0-9_:]+(\{([a-z_]+="[^"]*",?)+\})? [-+0-9.eInf]+)$/);
  }
});

test('explain decides without sending or counting anything', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const chat = { model, messages: [{ role: 'user', content: 'Hello.' }] };
  const decision = await json<DecisionJson>(postJson(`${gateway.adminUrl}/api/explain`, chat));
  assert.equal(decision.picked, `127.0.0.1:${engine.port}`);
  assert.equal(decision.kind, 'chat');
  assert.deepEqual(await json(fetch(`${gateway.adminUrl}/api/decisions`)), []);
  assert.equal((await postJson(`${gateway.adminUrl}/api/explain`, '{')).status, 400);
});

test('events tell of each decision and its outcome as they come', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const abort = new AbortController();
  const events = await fetch(`${gateway.adminUrl}/api/events`, { signal: abort.signal });
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', max_tokens: 1 });
  let text = '';
  while (!text.includes('event: outcome\n') || !text.endsWith('\n\n')) text += (await reader.read()).value ?? '';
  assert.match(text, /event: decision\nid: \S+\ndata: \{"version":1,/);
  abort.abort();
});

test('answers no other web page and no other host name', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const status = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      request(`${gateway.adminUrl}/api/endpoints`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      })
        .on('error', reject)
        .end();
    });
  const own = `127.0.0.1:${gateway.adminPort}`;
  assert.equal(await status({}), 200);
  assert.equal(await status({ host: `localhost:${gateway.adminPort}` }), 200);
  assert.equal(await status({ origin: `http://${own}` }), 200);
  assert.equal(await status({ host: 'evil.example' }), 400);
  assert.equal(await status({ origin: 'http://evil.example' }), 400);
  assert.equal(await status({ origin: 'null' }), 400);
});

test('what is not there yet, or not at all, is said in JSON', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  for (const [path, message] of [
    ['/api/shadow', /not built yet/],
    ['/api/nothing', /There is no GET/],
    ['/api/reload', /does not take GET/],
  ] as const) {
    const { error } = await json<{ error: { message: string } }>(fetch(gateway.adminUrl + path));
    assert.match(error.message, message);
  }
});

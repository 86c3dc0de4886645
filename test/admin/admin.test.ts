import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import type {
  DecisionJson,
  DecisionRowJson,
  DecisionsEventJson,
  EndpointJson,
  SeriesJson,
} from '../../src/admin/json.ts';

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
  const labels = `model_name="${model}",target_model_name="${model}",fairness_id="default-flow",priority="0"`;
  assert.match(metrics, new RegExp(`^llm_d_epp_request_total\\{${labels}\\} 3$`, 'm'));
  assert.match(metrics, new RegExp(`^llm_d_epp_response_size_bytes_count\\{${labels}\\} 3$`, 'm'));
  assert.match(metrics, /^llm_d_epp_plugin_duration_seconds_count\{extension_point="Scorer",.*\} 1$/m);
  assert.match(metrics, /^llm_d_epp_info\{.*build_ref="\d+\.\d+\.\d+"\} 1$/m);
  assert.match(metrics, /^llm_d_epp_flow_control_pool_saturation\{.*stage=.*\} \d/m);
  assert.match(metrics, /^inference_pool_ready_pods\{.*\} 1$/m);
  assert.match(metrics, /^llm_d_epp_request_ttft_seconds_count\{.*streaming="true"\} 3$/m);
  assert.match(metrics, /^signalbox_endpoint_inflight_requests\{.*\} 0$/m);
  for (const line of metrics.trimEnd().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) \S+ .+|[a-z0-9_:]+(\{([a-z_]+="[^"]*",?)+\})? [-+0-9.eInf]+)$/);
  }

  // Two tokens may come as one piece; of a hundred some come apart.
  const long = { model, prompt, max_tokens: 100, stream: true };
  await (await postJson(`${gateway.url}/v1/completions`, long)).text();
  const gaps = new RegExp(`^llm_d_epp_request_streaming_itl_seconds_count\\{${labels}\\} [1-9]`, 'm');
  assert.match(await (await fetch(`${gateway.adminUrl}/metrics`)).text(), gaps, 'between the pieces of a stream');
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

/** What has come of `/api/events` so far, growing as it is read. */
async function listen(adminUrl: string, signal: AbortSignal): Promise<() => Promise<DecisionsEventJson[]>> {
  const response = await fetch(`${adminUrl}/api/events`, { signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return async () => {
    text += (await reader.read()).value ?? '';
    const events = text.split('\n\n').slice(0, -1);
    return events.flatMap((event) => {
      const [, data] = /^event: decisions\ndata: (.*)$/.exec(event) ?? [];
      return data === undefined ? [] : [JSON.parse(data) as DecisionsEventJson];
    });
  };
}

test('events tell of decisions and their ends as they come', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const abort = new AbortController();
  const read = await listen(gateway.adminUrl, abort.signal);
  const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', max_tokens: 1 });
  const id = response.headers.get('x-signalbox-decision');
  let events: DecisionsEventJson[] = [];
  const last = () => events.flatMap(({ decisions }) => decisions).at(-1);
  await until(async () => {
    events = await read();
    return last()?.status === 200;
  });
  assert.equal(last()!.id, id);
  assert.ok(events.every(({ leftOut }) => leftOut === 0));
  const [row] = await json<DecisionRowJson[]>(fetch(`${gateway.adminUrl}/api/decisions?brief=1&limit=1`));
  assert.deepEqual(row, last(), 'the list shows the same row');
  abort.abort();
});

test('the series is told, and later only what is new', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const ask = (query = '') => json<SeriesJson>(fetch(`${gateway.adminUrl}/api/series${query}`));
  for (let i = 0; i < 5; i++) await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', max_tokens: 2 });
  let series = await ask();
  await until(async () => {
    series = await ask();
    return series.pool.columns.requestsPerSecond.some((rate) => rate! > 0);
  });
  const [endpoint] = await json<EndpointJson[]>(fetch(`${gateway.adminUrl}/api/endpoints`));
  assert.equal(endpoint!.totals.requests, 5);
  assert.equal(endpoint!.totals.completionTokens, 10);
  const later = await ask(`?after=${series.pool.endedAtMs.at(-1)}`);
  assert.ok(later.pool.endedAtMs.every((endedAtMs) => endedAtMs > series.pool.endedAtMs.at(-1)!));
  assert.equal((await fetch(`${gateway.adminUrl}/api/series?after=x`)).status, 400);
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

test('what is not there is said in JSON', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  for (const [path, message] of [
    ['/api/nothing', /There is no GET/],
    ['/api/reload', /does not take GET/],
  ] as const) {
    const { error } = await json<{ error: { message: string } }>(fetch(gateway.adminUrl + path));
    assert.match(error.message, message);
  }
});

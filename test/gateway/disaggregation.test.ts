import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { model, postJson, startEngine, startStub, until } from '../support/fleet-under-test.ts';
import {
  leasesAt,
  metricAt,
  said,
  startGatewayBeforeSidecars,
  startSplitEngines,
  startSplittingGateway,
  transferred,
} from '../support/split-fleet.ts';

const prompt = 'One engine reads what another one says. '.repeat(20);
const completion = { model, prompt, max_tokens: 12, temperature: 0 };
const chat = { model, messages: [{ role: 'user', content: prompt }], max_completion_tokens: 12, temperature: 0 };

interface Decision {
  disaggregation: {
    split: boolean;
    reason: string;
    prefill: string | null;
    attempts: { endpoint: string; status: number | null; reason: string }[];
  };
  picked: string;
  predicted: { cachedTokens: number };
  outcome: { status: number; cachedTokens: number | null } | null;
}

async function decisionOf(gateway: { adminUrl: string }, response: Response): Promise<Decision> {
  const id = response.headers.get('x-signalbox-decision')!;
  let decision: Decision | null = null;
  await until(async () => {
    decision = (await (await fetch(`${gateway.adminUrl}/api/decisions/${id}`)).json()) as Decision;
    return decision.outcome !== null;
  });
  return decision!;
}

for (const [where, start] of [
  ['the gateway sends both legs', startSplittingGateway],
  ['a sidecar sends both legs', startGatewayBeforeSidecars],
] as const) {
  test(`${where}: the answers are those of one engine alone, and the prompt was transferred`, async (t) => {
    const fleet = await startSplitEngines(t, { prefill: 1, decode: 1 });
    const gateway = await start(t, fleet);
    const alone = await startEngine(t);
    for (const [path, body] of [
      ['/v1/completions', completion],
      ['/v1/chat/completions', chat],
    ] as const) {
      for (const stream of [false, true]) {
        const before = await metricAt(fleet.decode[0]!, transferred);
        const ask = { ...body, stream, cache_salt: `${path} ${stream}` };
        const response = await postJson(`${gateway.url}${path}`, ask);
        const text = await response.text();
        assert.equal(response.status, 200, text);
        assert.equal(response.headers.get('x-signalbox-prefill'), null, 'said to us, not to the client');
        assert.equal(said(text), said(await (await postJson(`${alone.url}${path}`, ask)).text()));
        assert.ok((await metricAt(fleet.decode[0]!, transferred)) > before + 100);
        const { disaggregation } = await decisionOf(gateway, response);
        assert.equal(disaggregation.split, true);
        assert.deepEqual(
          disaggregation.attempts.map(({ status, reason }) => [status, reason]),
          [[200, 'answered']],
        );
      }
    }
    assert.equal(await leasesAt(fleet.prefill[0]!), 0);
  });

  test(`${where}: short prompts and several answers stay whole`, async (t) => {
    const fleet = await startSplitEngines(t, { prefill: 1, decode: 1 });
    const gateway = await start(t, fleet);
    const short = await postJson(`${gateway.url}/v1/completions`, { ...completion, prompt: 'Short.' });
    assert.match((await decisionOf(gateway, short)).disaggregation.reason, /uncached tokens, fewer than 10/);
    const two = await postJson(`${gateway.url}/v1/completions`, { ...completion, temperature: 1, n: 2 });
    assert.match((await decisionOf(gateway, two)).disaggregation.reason, /computed where it is answered/);
    assert.equal(await metricAt(fleet.decode[0]!, transferred), 0);
    assert.equal(await metricAt(fleet.prefill[0]!, 'vllm:prompt_tokens_total'), 0);
  });

  test(`${where}: prefill that fails is tried elsewhere once, then the prompt is computed where it is decoded`, async (t) => {
    const fleet = await startSplitEngines(t, { prefill: 3, decode: 1 });
    const gateway = await start(t, fleet);
    for (const url of fleet.prefill) {
      await fetch(`${url}/sim/failures`, { method: 'POST', body: JSON.stringify({ status: 500 }) });
    }
    const response = await postJson(`${gateway.url}/v1/completions`, completion);
    assert.equal(response.status, 200);
    const { disaggregation } = await decisionOf(gateway, response);
    assert.deepEqual(
      disaggregation.attempts.map(({ status, reason }) => [status, reason]),
      [
        [500, 'server error'],
        [500, 'server error'],
      ],
    );
    assert.equal(new Set(disaggregation.attempts.map(({ endpoint }) => endpoint)).size, 2);
  });

  test(`${where}: an error of the request's own comes from the engine, as it is`, async (t) => {
    const fleet = await startSplitEngines(t, { prefill: 1, decode: 1 });
    const gateway = await start(t, fleet);
    const response = await postJson(`${gateway.url}/v1/completions`, { ...completion, temperature: -1 });
    assert.equal(response.status, 400);
    assert.match(await response.text(), /temperature must be non-negative/);
  });

  test(`${where}: a client that leaves frees both ends, at whatever stage`, async (t) => {
    for (const stage of ['prefill', 'decode'] as const) {
      const slow = { timeScale: 0.02 };
      const prefill = await startEngine(t, { kvTransfer: {}, ...(stage === 'prefill' ? slow : {}) });
      const decode = await startEngine(t, { kvTransfer: {}, ...(stage === 'decode' ? slow : {}) });
      const gateway = await start(t, { prefill: [prefill.url], decode: [decode.url] });
      const leaving = new AbortController();
      const answer = postJson(
        `${gateway.url}/v1/completions`,
        { ...completion, stream: true },
        { signal: leaving.signal },
      );
      const busy = stage === 'prefill' ? prefill.url : decode.url;
      const inEngine = async (): Promise<number> =>
        (await metricAt(busy, 'vllm:num_requests_running')) + (await metricAt(busy, 'vllm:num_requests_waiting{'));
      await until(async () => (await inEngine()) > 0);
      leaving.abort();
      await assert.rejects(answer);
      await until(async () => (await inEngine()) === 0);
      await until(async () => (await leasesAt(prefill.url)) === 0);
      await until(async () => {
        const listed = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { inFlight: number }[];
        return listed.every(({ inFlight }) => inFlight === 0);
      });
    }
  });
}

test('the decode engine is lost after prefill: prefill runs again for the next one', async (t) => {
  const fleet = await startSplitEngines(t, { prefill: 1, decode: 1 });
  const broken = await startStub(t, (request) => request.socket.destroy());
  const gateway = await startSplittingGateway(t, { ...fleet, decode: [...fleet.decode, broken.url] });
  let moved: Decision | null = null;
  for (let count = 0; count < 10; count++) {
    const response = await postJson(`${gateway.url}/v1/completions`, { ...completion, cache_salt: `${count}` });
    assert.equal(response.status, 200);
    const decision = await decisionOf(gateway, response);
    if (decision.disaggregation.attempts.length > 1) moved = decision;
  }
  assert.ok(broken.requests.length > 0 && moved !== null);
  const params = broken.requests.map(
    ({ body }) => JSON.parse(body) as { kv_transfer_params: { remote_request_id: string } },
  );
  assert.equal(new Set(params.map((each) => each.kv_transfer_params.remote_request_id)).size, params.length);
});

test('what a client says of transfers reaches no engine, and its routing headers steer nothing', async (t) => {
  const seen: { headers: Record<string, unknown>; body: Record<string, unknown> }[] = [];
  const stub = async (test: TestContext) =>
    startStub(test, (request, response, body) => {
      seen.push({ headers: request.headers, body: JSON.parse(body) as Record<string, unknown> });
      response.setHeader('content-type', 'application/json').end('{"choices":[],"usage":{}}');
    });
  const [prefill, decode, elsewhere] = [await stub(t), await stub(t), await stub(t)];
  const gateway = await startSplittingGateway(t, { prefill: [prefill.url], decode: [decode.url] });
  const forged = { do_remote_prefill: true, remote_host: '10.0.0.1' };
  const body = {
    ...completion,
    kv_transfer_params: forged,
    bootstrap_host: 'x',
    vllm_xargs: { kv_transfer_params: 'x' },
  };
  const headers = {
    'x-prefiller-host-port': elsewhere.name,
    'x-prefiller-url': elsewhere.url,
    'x-data-parallel-rank': '7',
    'x-request-id': 'mine',
  };
  assert.equal((await postJson(`${gateway.url}/v1/completions`, body, { headers })).status, 200);
  assert.equal(elsewhere.requests.length, 0);
  const [first, second] = seen;
  assert.deepEqual((first!.body['kv_transfer_params'] as Record<string, unknown>)['remote_host'], null);
  assert.equal(second!.body['kv_transfer_params'], undefined, 'prefill handed nothing over');
  for (const { body: sent, headers: sentHeaders } of seen) {
    assert.deepEqual([sent['bootstrap_host'], sent['vllm_xargs']], [undefined, {}]);
    assert.deepEqual(
      Object.keys(headers).map((name) => sentHeaders[name]),
      [undefined, undefined, undefined, 'mine'],
    );
  }
});

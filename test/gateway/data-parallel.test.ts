import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { PrometheusText } from '../../src/fleet/gauges/prometheus-text.ts';
import { metricsOfRank, ranksIn } from '../../src/fleet/ranks.ts';
import { startSidecar } from '../../src/sidecar/sidecar.ts';
import {
  model,
  postJson,
  silent,
  startEngine,
  startStub,
  startTestGateway,
  until,
} from '../support/fleet-under-test.ts';
import { kvEventsOn } from '../support/kv-events.ts';
import { splitPolicy } from '../support/split-fleet.ts';

const long = 'The box at the junction sets every point before a train is let through. '.repeat(20);

interface Listed {
  name: string;
  address: string;
  ready: boolean;
}

interface Decision {
  picked: string;
  predicted: { cachedTokens: number };
  outcome: { cachedTokens: number | null } | null;
}

async function get<T>(url: string): Promise<T> {
  return (await (await fetch(url)).json()) as T;
}

/** A gateway that has told the two ranks behind `url` apart, and knows by events what both have. */
async function startBefore(t: TestContext, url: string) {
  const gateway = await startTestGateway(t, [url]);
  const host = new URL(url).host;
  const expected = [`${host}-rank-0`, `${host}-rank-1`];
  await until(async () => {
    const all = await get<Listed[]>(`${gateway.adminUrl}/api/endpoints`);
    return (
      all
        .map(({ name }) => name)
        .sort()
        .join() === expected.join() && all.every(({ ready }) => ready)
    );
  });
  await until(async () => {
    const { endpoints, models } = await get<{ endpoints: { knowledge: string }[]; models: unknown[] }>(
      `${gateway.adminUrl}/api/prefixes`,
    );
    return models.length > 0 && endpoints.every(({ knowledge }) => knowledge === 'complete');
  });
  const ask = async (prompt: string): Promise<Decision> => {
    const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt, max_tokens: 2 });
    assert.equal(response.status, 200, await response.text());
    const id = response.headers.get('x-signalbox-decision')!;
    let decision: Decision | null = null;
    await until(async () => {
      decision = await get<Decision>(`${gateway.adminUrl}/api/decisions/${id}`);
      return decision.outcome !== null;
    });
    return decision!;
  };
  return { gateway, host, ask };
}

async function sidecarBefore(t: TestContext, port: number): Promise<string> {
  const sidecar = await startSidecar({ port: 0, enginePort: port, connector: null, log: silent });
  t.after(() => sidecar.close(0));
  return `http://127.0.0.1:${sidecar.port}`;
}

for (const where of ['an engine', 'a sidecar'] as const) {
  test(`data-parallel ranks behind ${where} are endpoints of their own, each known by its own events`, async (t) => {
    const engine = await startEngine(t, { dataParallelSize: 2, kvEvents: kvEventsOn });
    const url = where === 'an engine' ? engine.url : await sidecarBefore(t, engine.port);
    const { host, ask } = await startBefore(t, url);
    for (const rank of [1, 0]) {
      const prompt = `For rank ${rank}. ${long}`;
      const direct = { model, prompt, max_tokens: 1 };
      await postJson(`${engine.url}/v1/completions`, direct, { headers: { 'x-data-parallel-rank': `${rank}` } });
      await new Promise((next) => setTimeout(next, 100));
      const { picked, predicted, outcome } = await ask(prompt);
      assert.equal(picked, `${host}-rank-${rank}`);
      assert.ok(predicted.cachedTokens > 100);
      assert.equal(outcome!.cachedTokens, predicted.cachedTokens);
    }
    assert.equal(
      (
        await postJson(
          `${engine.url}/v1/completions`,
          { model, prompt: 'x' },
          { headers: { 'x-data-parallel-rank': '2' } },
        )
      ).status,
      400,
    );
  });
}

test('no moment is without an endpoint while ranks are told apart', async (t) => {
  const engine = await startEngine(t, { dataParallelSize: 2 });
  const gateway = await startTestGateway(t, [engine.url]);
  for (let count = 0; count < 30; count++) {
    const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'On and on.', max_tokens: 1 });
    assert.equal(response.status, 200, await response.text());
  }
});

test('each leg of a request that is split asks for its own rank', async (t) => {
  const asked: Record<string, (string | string[] | undefined)[]> = { prefill: [], decode: [] };
  const metrics = [0, 1].map((rank) => `vllm:num_requests_running{engine="${rank}",model_name="m"} 0`).join('\n');
  const stub = (leg: string) =>
    startStub(
      t,
      (request, response) => {
        if (request.url === '/metrics') return void response.end(metrics);
        asked[leg]!.push(request.headers['x-data-parallel-rank']);
        const params = {
          do_remote_prefill: true,
          remote_engine_id: 'e',
          remote_block_ids: [[1]],
          remote_host: 'h',
          remote_port: 1,
        };
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ choices: [], usage: {}, kv_transfer_params: params }));
      },
      ['/metrics'],
    );
  const [prefill, decode] = [await stub('prefill'), await stub('decode')];
  const gateway = await startTestGateway(t, [decode.url], {
    prefillEndpoints: [prefill.url],
    connector: 'nixlv2',
    policy: splitPolicy,
  });
  await until(async () => (await get<Listed[]>(`${gateway.adminUrl}/api/endpoints`)).length === 4);
  for (let count = 0; count < 8; count++) {
    const body = { model, prompt: `${count} ${long}`, max_tokens: 2 };
    const headers = { 'x-data-parallel-rank': '7' };
    assert.equal((await postJson(`${gateway.url}/v1/completions`, body, { headers })).status, 200);
  }
  for (const leg of ['prefill', 'decode']) {
    assert.equal(asked[leg]!.length, 8);
    assert.ok(
      asked[leg]!.every((rank) => rank === '0' || rank === '1'),
      `${leg}: ${asked[leg]!.join()}`,
    );
  }
  assert.notDeepEqual(asked['prefill'], asked['decode'], 'not one header for both');
});

test('an engine with one rank is one endpoint, whatever its rank is called', () => {
  assert.deepEqual(ranksIn(new PrometheusText('vllm:num_requests_running{engine="3",model_name="m"} 0\n')), [3]);
  const page = ['# HELP x', 'a{engine="0"} 1', 'a{engine="1"} 2', 'b{max="engine=0"} 3', 'c 4'].join('\n');
  assert.equal(metricsOfRank(page, 1), ['# HELP x', 'a{engine="1"} 2', 'b{max="engine=0"} 3', 'c 4'].join('\n'));
});

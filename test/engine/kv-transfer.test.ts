import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { repository } from '../support/command.ts';
import { model, postJson, startEngine, until } from '../support/fleet-under-test.ts';

/** A real exchange between two vLLMs with NIXL. */
interface Recorded {
  what: string;
  path: string;
  request: Record<string, unknown>;
  response: Record<string, unknown>;
}
const recorded = new Map(
  (JSON.parse(readFileSync(join(repository, 'testdata/vllm/pd-nixl.json'), 'utf8')) as Recorded[]).map((each) => [
    each.what,
    each,
  ]),
);
const asksForPrefill = recorded.get('prefill')!.request['kv_transfer_params'];

interface Answer {
  choices: { text: string; finish_reason: string }[];
  kv_transfer_params: Record<string, unknown> | null;
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

/** Two engines that hand caches to each other. */
async function pair(t: TestContext, options: Parameters<typeof startEngine>[1] = {}) {
  const prefill = await startEngine(t, { kvTransfer: {}, ...options });
  const decode = await startEngine(t, { kvTransfer: {}, ...options });
  return { prefill, decode };
}

async function complete(url: string, body: object): Promise<Answer> {
  const response = await postJson(`${url}/v1/completions`, { model, ...body });
  assert.equal(response.status, 200);
  return (await response.json()) as Answer;
}

async function leases(url: string): Promise<{ leases: number; expired: number }> {
  return (await (await fetch(`${url}/sim/kv-transfer`)).json()) as { leases: number; expired: number };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(name));
  return Number(line?.split(' ').at(-1));
}

const prompt = Array.from({ length: 200 }, (_, index) => 100 + index);

test('hands a prompt over with the fields of a real vLLM, and says the same as one engine alone', async (t) => {
  const { prefill, decode } = await pair(t);
  const handed = await complete(prefill.url, { prompt, max_tokens: 1, kv_transfer_params: asksForPrefill });
  const params = handed.kv_transfer_params!;
  const real = recorded.get('prefill')!.response['kv_transfer_params'] as Record<string, unknown>;
  assert.deepEqual(Object.keys(params), Object.keys(real));
  for (const [name, value] of Object.entries(real)) assert.equal(typeof params[name], typeof value, name);
  assert.match(String(params['remote_request_id']), /^cmpl-\w+-0-[0-9a-f]{8}$/);
  assert.equal((await leases(prefill.url)).leases, 1);

  const answer = await complete(decode.url, { prompt, max_tokens: 6, kv_transfer_params: params });
  const alone = await complete((await startEngine(t)).url, { prompt, max_tokens: 6 });
  assert.equal(answer.choices[0]!.text, alone.choices[0]!.text);
  assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 0);
  assert.equal(
    await metric(
      decode.url,
      'vllm:prompt_tokens_by_source_total{engine="0",model_name="toy/model",source="external_kv_transfer"}',
    ),
    200,
  );
  assert.equal((await leases(prefill.url)).leases, 0, 'fetched, so freed');
  assert.equal(await metric(prefill.url, 'vllm:kv_cache_usage_perc'), 0);
});

test('pulls only what it has not cached, and caches what it pulled', async (t) => {
  const { prefill, decode } = await pair(t);
  for (const expected of [0, 192]) {
    const { kv_transfer_params: params } = await complete(prefill.url, {
      prompt,
      max_tokens: 1,
      kv_transfer_params: asksForPrefill,
    });
    const answer = await complete(decode.url, { prompt, max_tokens: 2, kv_transfer_params: params });
    assert.equal(answer.usage.prompt_tokens_details.cached_tokens, expected);
  }
});

test('parameters are used once: a second time gives what happens to be there', async (t) => {
  const { prefill, decode } = await pair(t);
  const { kv_transfer_params: params } = await complete(prefill.url, {
    prompt,
    max_tokens: 1,
    kv_transfer_params: asksForPrefill,
  });
  const first = await complete(decode.url, { prompt, max_tokens: 8, kv_transfer_params: params });
  const again = await complete(decode.url, { prompt, max_tokens: 8, kv_transfer_params: params });
  assert.notEqual(again.choices[0]!.text, first.choices[0]!.text);
});

test('a cache that nobody fetches is freed when its lease ends; a stream keeps one and tells nobody', async (t) => {
  const { prefill } = await pair(t, { kvTransfer: { leaseSeconds: 0.05 } });
  const body = { model, prompt, max_tokens: 1, stream: true, kv_transfer_params: asksForPrefill };
  const stream = await (await postJson(`${prefill.url}/v1/completions`, body)).text();
  assert.ok(!stream.includes('kv_transfer_params'));
  await until(async () => (await leases(prefill.url)).expired === 1);
  assert.equal(await metric(prefill.url, 'vllm:nixl_num_kv_expired_reqs_total'), 1);
  assert.equal(await metric(prefill.url, 'vllm:kv_cache_usage_perc'), 0);
});

test('a client that leaves while its cache is on its way frees it on the other side', async (t) => {
  const { prefill } = await pair(t);
  const slow = await startEngine(t, { kvTransfer: {}, timeScale: 0.05 });
  const { kv_transfer_params: params } = await complete(prefill.url, {
    prompt,
    max_tokens: 1,
    kv_transfer_params: asksForPrefill,
  });
  const leaving = new AbortController();
  const body = { model, prompt, max_tokens: 4, kv_transfer_params: params };
  const answer = postJson(`${slow.url}/v1/completions`, body, { signal: leaving.signal });
  await until(async () => (await metric(slow.url, 'vllm:num_requests_waiting{')) === 1);
  leaving.abort();
  await assert.rejects(answer);
  await until(async () => (await leases(prefill.url)).leases === 0);
  await until(async () => (await metric(slow.url, 'vllm:num_requests_waiting{')) === 0);
});

test('the other engine is gone: the request fails, and the engine goes on', async (t) => {
  const { prefill, decode } = await pair(t);
  const { kv_transfer_params: params } = await complete(prefill.url, {
    prompt,
    max_tokens: 1,
    kv_transfer_params: asksForPrefill,
  });
  await prefill.close();
  const failed = await postJson(`${decode.url}/v1/completions`, {
    model,
    prompt,
    max_tokens: 4,
    kv_transfer_params: params,
  });
  assert.equal(failed.status, 500);
  await complete(decode.url, { prompt, max_tokens: 4 });
});

test('incomplete parameters hang, and kill the engine when the client leaves, as they do vLLM', async (t) => {
  let died = false;
  const engine = await startEngine(t, { kvTransfer: {}, die: () => (died = true) });
  const leaving = new AbortController();
  const params = { do_remote_prefill: true, do_remote_decode: false, remote_engine_id: 'x', remote_block_ids: [[1]] };
  const body = { model, prompt, max_tokens: 4, kv_transfer_params: params };
  const answer = postJson(`${engine.url}/v1/completions`, body, { signal: leaving.signal });
  assert.equal(
    await Promise.race([answer.then(() => 'answered'), new Promise((ok) => setTimeout(ok, 100, 'hangs'))]),
    'hangs',
  );
  leaving.abort();
  await assert.rejects(answer);
  await until(() => died);
});

test('without a connector the parameters mean nothing', async (t) => {
  const engine = await startEngine(t);
  const answer = await complete(engine.url, { prompt, max_tokens: 1, kv_transfer_params: asksForPrefill });
  assert.equal(answer.kv_transfer_params, null);
});

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, freePort } from '../support/command.ts';
import { postJson } from '../support/fleet-under-test.ts';
import { metricAt, said, startGatewayBeforeSidecars, startSplittingGateway } from '../support/split-fleet.ts';
import { getJson } from '../support/stack.ts';
import { makeTinyModel } from './make-tiny-model.ts';
import { startVllm, type Vllm } from './start-vllm.ts';

/** Two real vLLMs that hand caches over by NIXL, one for prompts and one for answers. */
const folder = mkdtempSync(join(tmpdir(), 'signalbox-vllm-disaggregation-'));
let prefill: Vllm;
let decode: Vllm;
const connector = { kv_connector: 'NixlConnector', kv_role: 'kv_both', kv_buffer_device: 'cpu' };

async function start(name: string): Promise<Vllm> {
  const environment = async (): Promise<Record<string, string>> => ({
    VLLM_NIXL_SIDE_CHANNEL_HOST: '127.0.0.1',
    VLLM_NIXL_SIDE_CHANNEL_PORT: `${await freePort()}`,
    UCX_TLS: 'tcp,self,sm',
    UCX_NET_DEVICES: 'lo',
  });
  const args = ['--kv-transfer-config', JSON.stringify(connector)];
  return startVllm(folder, name, await freePort(), args, environment);
}

/** NIXL's own ports may be taken while the engines load, which they do not say: the first transfer then hangs. */
async function startPair(): Promise<void> {
  for (let left = 3; ; left--) {
    [prefill, decode] = await Promise.all([start('prefill'), start('decode')]);
    try {
      return await transferOnce();
    } catch (error) {
      prefill.kill();
      decode.kill();
      if (left === 1) throw error;
    }
  }
}

/** Hands one prompt over as nixlv2 does, without anything of ours between. @throws if that takes more than a minute */
async function transferOnce(): Promise<void> {
  const remote = { remote_engine_id: null, remote_block_ids: null, remote_host: null, remote_port: null };
  let handed: unknown = { do_remote_decode: true, do_remote_prefill: false, ...remote };
  for (const [url, tokens] of [
    [prefill.url, 1],
    [decode.url, 2],
  ] as const) {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...completion, max_tokens: tokens, cache_salt: 'first', kv_transfer_params: handed }),
      signal: AbortSignal.timeout(60_000),
    });
    assert.equal(response.status, 200);
    handed = ((await response.json()) as { kv_transfer_params?: unknown }).kv_transfer_params;
  }
}

before(async () => {
  makeTinyModel(join(folder, 'tiny'));
  await startPair();
});

after(() => {
  prefill?.kill();
  decode?.kill();
});

const series = (source: string): string =>
  `vllm:prompt_tokens_by_source_total{engine="0",model_name="tiny",source="${source}"}`;
const prompt = 'One engine reads what another one says. '.repeat(20);
const completion = { model: 'tiny', prompt, max_tokens: 12, temperature: 0 };
const chat = {
  model: 'tiny',
  messages: [{ role: 'user', content: prompt }],
  max_completion_tokens: 12,
  temperature: 0,
};

interface Decision {
  disaggregation: { split: boolean; reason: string; attempts: { status: number | null; reason: string }[] };
  outcome: { promptTokens: number } | null;
}

async function decisionOf(gateway: { adminUrl: string }, response: Response): Promise<Decision> {
  return eventually('the outcome', 2_000, async () => {
    const id = response.headers.get('x-signalbox-decision')!;
    const found = await getJson<Decision>(`${gateway.adminUrl}/api/decisions/${id}`);
    return found.outcome === null ? null : found;
  });
}

for (const [where, startGateway] of [
  ['a sidecar sends both legs', startGatewayBeforeSidecars],
  ['the gateway sends both legs', startSplittingGateway],
] as const) {
  test(`${where}: the text is that of one engine alone, and the prompt was transferred`, async (t) => {
    const gateway = await startGateway(t, { prefill: [prefill.url], decode: [decode.url] });
    for (const [path, body] of [
      ['/v1/completions', completion],
      ['/v1/chat/completions', chat],
    ] as const) {
      const alone = await postJson(`${decode.url}${path}`, { ...body, cache_salt: 'alone' });
      const expected = said(await alone.text());
      assert.notEqual(expected, '');
      for (const stream of [false, true]) {
        const before = await metricAt(decode.url, series('external_kv_transfer'));
        const response = await postJson(`${gateway.url}${path}`, {
          ...body,
          stream,
          cache_salt: randomUUID(),
        });
        const text = await response.text();
        assert.equal(response.status, 200, text);
        assert.equal(said(text), expected);
        const { disaggregation, outcome } = await decisionOf(gateway, response);
        assert.deepEqual(
          disaggregation.attempts.map(({ status, reason }) => [status, reason]),
          [[200, 'answered']],
        );
        await eventually('the whole prompt is counted as transferred', 10_000, async () => {
          const tokens = (await metricAt(decode.url, series('external_kv_transfer'))) - before;
          return tokens === outcome!.promptTokens ? true : null;
        });
      }
    }
  });

  test(`${where}: a prompt below the threshold is computed where it is answered`, async (t) => {
    const gateway = await startGateway(t, { prefill: [prefill.url], decode: [decode.url] });
    const before = await metricAt(prefill.url, series('local_compute'));
    const response = await postJson(`${gateway.url}/v1/completions`, { ...completion, prompt: 'Short.' });
    assert.equal(response.status, 200);
    assert.match((await decisionOf(gateway, response)).disaggregation.reason, /uncached tokens, fewer than 10/);
    assert.equal(await metricAt(prefill.url, series('local_compute')), before);
  });
}

test('prefill is killed in mid-request: the client gets the whole answer all the same', async (t) => {
  const gateway = await startGatewayBeforeSidecars(t, { prefill: [prefill.url], decode: [decode.url] });
  const expected = said(await (await postJson(`${decode.url}/v1/completions`, completion)).text());
  prefill.freeze(); // so that it is in the middle of it for sure
  const answer = postJson(`${gateway.url}/v1/completions`, { ...completion, stream: true, cache_salt: 'killed' });
  await new Promise((next) => setTimeout(next, 300));
  prefill.kill();
  const response = await answer;
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.match(text, /data: \[DONE\]\s*$/);
  assert.equal(said(text), expected);
  const { disaggregation } = await decisionOf(gateway, response);
  assert.equal(disaggregation.attempts.length, 1, JSON.stringify(disaggregation.attempts));
  assert.equal(disaggregation.attempts[0]!.status, null);
});

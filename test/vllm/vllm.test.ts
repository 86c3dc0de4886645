import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { eventually, freePort, repository, runCommand } from '../support/command.ts';
import { complete, getJson, startStack } from '../support/stack.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';
import { makeTinyModel } from './make-tiny-model.ts';

/** A real vLLM (CPU build, a two-layer model without weights) behind the gateway. */
const folder = mkdtempSync(join(tmpdir(), 'signalbox-vllm-'));
const log = join(folder, 'vllm.log');
let engine: ChildProcess;
let engineUrl: string;

before(async () => {
  const installed = await runCommand('sh', [join(repository, 'test/vllm/install.sh')]);
  assert.equal(installed.status, 0, installed.stderr);
  makeTinyModel(join(folder, 'tiny'));
  const port = await freePort();
  engineUrl = `http://127.0.0.1:${port}`;
  engine = spawn(
    join(installed.stdout.trim(), 'bin/python'),
    ['-m', 'vllm.entrypoints.openai.api_server', '--model', join(folder, 'tiny'), '--served-model-name', 'tiny']
      .concat(['--load-format', 'dummy', '--dtype', 'float32', '--enforce-eager', '--seed', '0'])
      .concat(['--max-model-len', '2048', '--block-size', '32', '--enable-prefix-caching'])
      .concat(['--enable-prompt-tokens-details', '--host', '127.0.0.1', '--port', `${port}`]),
    {
      env: {
        ...process.env,
        HF_HUB_OFFLINE: '1',
        VLLM_CPU_KVCACHE_SPACE: '1',
        VLLM_CPU_OMP_THREADS_BIND: 'nobind',
        VLLM_NO_USAGE_STATS: '1',
        DO_NOT_TRACK: '1',
        OMP_NUM_THREADS: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // its own process group: its workers outlive it
    },
  );
  const output = createWriteStream(log);
  engine.stdout?.pipe(output);
  engine.stderr?.pipe(output);
  await eventually('vLLM answers /health', 300_000, async () => {
    if (engine.exitCode !== null) throw new Error(`vLLM ended:\n${readFileSync(log, 'utf8').slice(-4000)}`);
    const response = await fetch(`${engineUrl}/health`).catch(() => null);
    return response?.ok === true ? true : null;
  });
});

after(() => {
  if (engine?.pid !== undefined) process.kill(-engine.pid, 'SIGKILL');
});

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

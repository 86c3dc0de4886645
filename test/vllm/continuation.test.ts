import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, repository } from '../support/command.ts';
import { postJson, startTestGateway, until } from '../support/fleet-under-test.ts';
import { makeTinyModel } from './make-tiny-model.ts';
import { startVllm, type Vllm } from './start-vllm.ts';

/** Two real vLLMs (CPU build) with the same two-layer model, whose weights are made up alike from a seed. */
const folder = mkdtempSync(join(tmpdir(), 'signalbox-vllm-'));
const engines: Vllm[] = [];

before(async () => {
  makeTinyModel(join(folder, 'tiny'));
  const ports = [await freePort(), await freePort()];
  engines.push(...(await Promise.all(ports.map((port, at) => startVllm(folder, `vllm-${at}`, port, [])))));
});

after(() => engines.forEach((engine) => engine.kill()));

interface Chunk {
  id: string;
  choices: { delta: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
  error?: { message: string };
}

/** Token ids of whole lower-case words: what a model without sense says with them is the same in text and in tokens. */
function words(): number[] {
  const { model } = JSON.parse(readFileSync(join(repository, 'assets/tokenizer/tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number> };
  };
  return Object.entries(model.vocab)
    .filter(([token]) => /^Ġ[a-z]{4,}$/.test(token))
    .map(([, id]) => id);
}

const question = {
  model: 'tiny',
  messages: [{ role: 'user', content: 'Which way does the train go from here?' }],
  max_tokens: 1500,
  temperature: 0,
  // No word twice, so that one too many or too few would show. It counts those of the prompt too, where the rest has them.
  repetition_penalty: 1000,
  allowed_token_ids: words(),
  stream: true,
  stream_options: { include_usage: true },
};

/** Asks, and calls `onEndpoint` with who answers once some of it has come. */
async function ask(url: string, onEndpoint: (name: string) => void) {
  const response = await postJson(`${url}/v1/chat/completions`, question);
  assert.equal(response.status, 200);
  const chunks: Chunk[] = [];
  let rest = '';
  let ended = false;
  for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
    rest += bytes;
    const events = rest.split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      if (event === 'data: [DONE]') ended = true;
      else chunks.push(JSON.parse(event.slice('data: '.length)) as Chunk);
      if (chunks.length === 20) onEndpoint(response.headers.get('x-signalbox-endpoint')!);
    }
  }
  const choices = chunks.flatMap((chunk) => chunk.choices);
  return {
    ended,
    errors: chunks.flatMap(({ error }) => error?.message ?? []),
    text: choices.map(({ delta }) => delta.content ?? '').join(''),
    roles: choices.filter(({ delta }) => delta.role !== undefined && delta.content === '').length,
    finishReasons: choices.flatMap(({ finish_reason: reason }) => reason ?? []),
    // Not what of it was cached: the engine that goes on may have it from the first time.
    usages: chunks
      .flatMap(({ usage }) => usage ?? [])
      .map(({ prompt_tokens, completion_tokens, total_tokens }) => ({
        prompt_tokens,
        completion_tokens,
        total_tokens,
      })),
    ids: new Set(chunks.map(({ id }) => id)).size,
    decision: response.headers.get('x-signalbox-decision')!,
  };
}

test('one of two real vLLMs is killed in the middle of a chat: the client has one unbroken answer', async (t) => {
  const gateway = await startTestGateway(
    t,
    engines.map(({ url }) => url),
  );
  // Known for the engines that they are, which know how to go on with a message.
  await until(async () => {
    const all = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { waiting: number | null }[];
    return all.every(({ waiting }) => waiting !== null);
  });
  const unbroken = await ask(gateway.url, () => undefined);
  assert.deepEqual(unbroken.errors, []);
  assert.equal(new Set(unbroken.text.trim().split(' ')).size, question.max_tokens);
  const broken = await ask(gateway.url, (name) => engines.find(({ url }) => url.endsWith(name))!.kill());
  const { attempts } = (await (await fetch(`${gateway.adminUrl}/api/decisions/${broken.decision}`)).json()) as {
    attempts: { endpoint: string; reason: string }[];
  };
  assert.equal(attempts.length, 2, JSON.stringify(attempts));
  assert.equal(attempts[1]!.reason, 'went on');
  assert.deepEqual({ ...broken, decision: '' }, { ...unbroken, decision: '' });
  assert.equal(unbroken.usages[0]!.completion_tokens, question.max_tokens);
});

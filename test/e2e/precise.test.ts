import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/command.ts';
import { complete, getJson, startStack } from '../support/stack.ts';
import { walkthroughModel } from '../support/walkthrough-prompts.ts';

interface Pod {
  name: string;
  labels: Record<string, string>;
  containers: { name: string; port: number }[];
}
interface Prefixes {
  endpoints: { name: string; knowledge: string }[];
  models: { completions: string }[];
}
interface Decision {
  inputs: Record<string, { cachedTokens: number }>;
}

test('a stack knows exactly what its engines have: also what no gateway sent, and that a deleted pod has nothing', async (t) => {
  const stack = await startStack(t, ['./signalbox'], ['--time-scale', '20']);
  const known = (): Promise<Prefixes> =>
    eventually('every endpoint is known by its events', 10_000, async () => {
      const prefixes = await getJson<Prefixes>(`${stack.adminUrl}/api/prefixes`);
      const isKnown =
        prefixes.endpoints.length === 2 && prefixes.endpoints.every((each) => each.knowledge === 'complete');
      return isKnown && prefixes.models[0]?.completions === 'tokenizer' ? prefixes : null;
    });
  const pods = async (): Promise<Pod[]> => {
    const all = JSON.parse((await stack.signalbox('get', 'pods', '--json')).stdout) as Pod[];
    return all.filter(({ labels }) => labels['llm-d.ai/role'] === 'decode');
  };
  await known();

  const prompt = 'Points, signals and a book in which every move is written. '.repeat(15);
  const [pod] = await pods();
  const engine = pod!.containers.find(({ name }) => name === 'vllm')!;
  await complete(`http://127.0.0.1:${engine.port}`, walkthroughModel, prompt, 1);
  const cached = async (): Promise<Record<string, number>> => {
    const answer = await fetch(`${stack.adminUrl}/api/explain`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: walkthroughModel, prompt, max_tokens: 1 }),
    });
    const { inputs } = (await answer.json()) as Decision;
    return Object.fromEntries(Object.entries(inputs).map(([name, { cachedTokens }]) => [name, cachedTokens]));
  };
  const tokens = await eventually('the prompt is known to be cached there', 5_000, async () => {
    const found = (await cached())[pod!.name] ?? 0;
    return found > 0 ? found : null;
  });
  const answer = await complete(stack.url, walkthroughModel, prompt, 1);
  assert.equal(answer.headers.get('x-signalbox-endpoint'), pod!.name);
  assert.equal(answer.body.usage.prompt_tokens_details?.cached_tokens, tokens);

  await stack.signalbox('delete', 'pod', pod!.name);
  await eventually('the pod was replaced', 20_000, async () => {
    const names = (await pods()).map(({ name }) => name);
    return names.length === 2 && !names.includes(pod!.name) ? names : null;
  });
  await known();
  assert.deepEqual(Object.values(await cached()), [0, 0]);
});

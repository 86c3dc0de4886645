import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, freePort } from '../support/command.ts';
import { postJson, startTestGateway } from '../support/fleet-under-test.ts';
import { colouredPng } from '../support/png.ts';
import { getJson } from '../support/stack.ts';
import { makeTinyVisionModel } from './make-tiny-model.ts';
import { startVllm, type Vllm } from './start-vllm.ts';

/**
 * A real vLLM (CPU build) with a LLaVA of two layers and KV events: what is predicted of prompts with images is what it
 * reports, by the identity of each image.
 */
const folder = mkdtempSync(join(tmpdir(), 'signalbox-vllm-images-'));
let engine: Vllm | undefined;

before(async () => {
  makeTinyVisionModel(join(folder, 'tiny'));
  const [http, events, replay] = [await freePort(), await freePort(), await freePort()];
  const kvEvents = {
    enable_kv_cache_events: true,
    publisher: 'zmq',
    endpoint: `tcp://*:${events}`,
    replay_endpoint: `tcp://*:${replay}`,
  };
  engine = await startVllm(folder, 'vllm', http, [
    '--kv-events-config',
    JSON.stringify(kvEvents),
    '--enable-scale-out',
  ]);
});

after(() => engine?.kill());

const blockTokens = 32;
const imageTokens = 64;

type Part = { type: 'text'; text: string } | { type: 'image_url'; image_url: { url: string } };
const words = (text: string): Part => ({ type: 'text', text });
const image = (red: number, green: number, blue: number): Part => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${colouredPng(40, red, green, blue).toString('base64')}` },
});

async function ask(url: string, content: readonly Part[]): Promise<Response> {
  const messages = [{ role: 'user', content }];
  const response = await postJson(`${url}/v1/chat/completions`, { model: 'tiny', messages, max_tokens: 1 });
  assert.equal(response.status, 200, `${url} answers`);
  return response;
}

test('prompts with images that went past the gateway are predicted as the engine reports them', async (t) => {
  const gateway = await startTestGateway(t, [engine!.url]);
  await eventually('the engine is known by its events, and renders', 30_000, async () => {
    const { endpoints, models } = await getJson<{
      endpoints: { knowledge: string }[];
      models: { renders: boolean }[];
    }>(`${gateway.adminUrl}/api/prefixes`);
    return endpoints[0]?.knowledge === 'complete' && models[0]?.renders === true ? true : null;
  });
  const before = words('You look at pictures of trains, and say what colour they have. '.repeat(8));
  const after = words(' What colour is this one, and where does it go to? Say it in a few words.');
  const [red, green, blue] = [image(200, 20, 20), image(20, 200, 20), image(20, 20, 200)];

  /** Tokens predicted to be cached, which must be as many as the engine reports. */
  const predicted = async (content: readonly Part[]): Promise<number> => {
    const response = await ask(gateway.url, content);
    const id = response.headers.get('x-signalbox-decision')!;
    const { usage } = (await response.json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } };
    const { predicted } = await getJson<{ predicted: { cachedTokens: number } }>(
      `${gateway.adminUrl}/api/decisions/${id}`,
    );
    assert.equal(predicted.cachedTokens, usage.prompt_tokens_details.cached_tokens);
    return predicted.cachedTokens;
  };

  await (await ask(engine!.url, [before, red, after])).text();
  const same = await predicted([before, red, after]);
  assert.ok(same >= blockTokens + imageTokens && same % blockTokens === 0, `${same} of the same prompt`);
  const another = await predicted([before, green, after]);
  assert.ok(another >= blockTokens && another < same - imageTokens + blockTokens, `${another} with another image`);

  await (await ask(engine!.url, [before, red, after, green, after])).text();
  const two = await predicted([before, red, after, green, after]);
  assert.ok(two >= same + imageTokens, `${two} with a second image`);
  const otherSecond = await predicted([before, red, after, blue, after]);
  assert.ok(otherSecond >= same - blockTokens && otherSecond < two, `${otherSecond} with another second image`);
  assert.equal(await predicted([before, blue, after, red, after]), another, 'their order counts');
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeMsgpack, type MsgpackValue } from '../../../src/base/msgpack-writer.ts';
import { EngineCache } from '../../../src/fleet/kv-events/engine-cache.ts';
import { EventReader } from '../../../src/fleet/kv-events/event-reader.ts';
import type { MediaSpan } from '../../../src/fleet/prefix-index/extra-keys.ts';
import { PrefixIndex } from '../../../src/fleet/prefix-index/prefix-index.ts';
import { tokenKeyOf } from '../../../src/fleet/prefix-index/prefix-key.ts';
import { hasMedia, parseRendered } from '../../../src/fleet/tokens/rendered-prompt.ts';
import { model, postJson, startEngine, startStub, startTestGateway, until } from '../../support/fleet-under-test.ts';
import { repository } from '../../support/command.ts';
import { kvEventsOn } from '../../support/kv-events.ts';

const seed = { low: 3, high: 4 };

interface Case {
  tokens: number;
  blockTokens: number;
  media: MediaSpan[];
  extraKeys: MsgpackValue[] | null;
}

/** What vLLM's own code makes of prompts with images (`generate_block_hash_extra_keys`, `to_event_extra_keys`). */
const { cases } = JSON.parse(readFileSync(join(repository, 'testdata/vllm/media-extra-keys.json'), 'utf8')) as {
  cases: Case[];
};

/** Leading blocks of a prompt found at an engine that published the case's blocks. */
function blocksFound({ tokens, blockTokens, extraKeys }: Case, media: readonly MediaSpan[]): number {
  const ids = Array.from({ length: tokens }, (_, at) => at % 7);
  const count = Math.floor(tokens / blockTokens);
  const index = new PrefixIndex();
  const event: MsgpackValue = {
    type: 'BlockStored',
    block_hashes: Array.from({ length: count }, (_, at) => BigInt(at + 1)),
    parent_block_hash: null,
    token_ids: ids.slice(0, count * blockTokens),
    block_size: blockTokens,
    lora_id: null,
    medium: 'GPU',
    lora_name: null,
    extra_keys: extraKeys,
    group_idx: 0,
  };
  const cache = new EngineCache(index, 0, seed, 1024 * 1024);
  new EventReader().read(encodeMsgpack([0.5, [event], 0]), cache.rank(0));
  const runs = new Float64Array(1);
  const key = tokenKeyOf({ bytes: new Uint8Array(Uint32Array.from(ids).buffer), media }, null, null, seed);
  index.longestRuns(key.tokens!.inBlocksOf(blockTokens), runs);
  return runs[0]!;
}

test('prompts with images are found by their tokens and the images’ identity, as vLLM keeps them apart', () => {
  for (const each of cases) {
    const { media, tokens, blockTokens } = each;
    assert.equal(blocksFound(each, media), Math.floor(tokens / blockTokens), JSON.stringify(media));
    for (const [at, { offset }] of media.entries()) {
      const changed = media.map((item, i) => (i === at ? { ...item, identifier: 'another' } : item));
      assert.equal(
        blocksFound(each, changed),
        Math.floor(offset / blockTokens),
        'up to the first block of another image',
      );
      const moved = media.map((item, i) => (i === at ? { ...item, offset: offset + 1 } : item));
      assert.ok(blocksFound(each, moved) <= Math.floor((offset + 1) / blockTokens), 'elsewhere is another prompt');
    }
  }
});

const answer = {
  request_id: 'chatcmpl-x',
  token_ids: [1, 2, 3, 3, 3, 4],
  features: {
    mm_hashes: { image: ['abc', 'def'] },
    mm_placeholders: {
      image: [
        { offset: 4, length: 1 },
        { offset: 2, length: 2, is_embed: null },
      ],
    },
    kwargs_data: null,
  },
};

test('what an engine renders is read: ids, and images in the order of their places', () => {
  const { bytes, media } = parseRendered(JSON.stringify(answer))!;
  assert.deepEqual([...new Uint32Array(bytes.buffer)], answer.token_ids);
  assert.deepEqual(
    media.map(({ identifier, offset, length }) => [identifier, offset, length]),
    [
      ['def', 2, 2],
      ['abc', 4, 1],
    ],
  );
  assert.equal(parseRendered(JSON.stringify([{ ...answer, features: null }]))!.media.length, 0);
  for (const bad of ['{}', '[]', '{"token_ids": []}', JSON.stringify({ ...answer, token_ids: ['a'] })]) {
    assert.equal(parseRendered(bad), null, bad);
  }
  const unequal = { ...answer.features, mm_placeholders: { image: [] } };
  assert.equal(parseRendered(JSON.stringify({ ...answer, features: unequal })), null);
});

test('the gateway asks the engine for what its tokenizer cannot know, and for nothing else', async (t) => {
  const events = await startEngine(t, { kvEvents: kvEventsOn });
  const sources = await (await fetch(`${events.url}/kv_event_sources`)).text();
  const rendered: { path: string; body: Record<string, unknown> }[] = [];
  const engine = await startStub(
    t,
    (request, response, body) => {
      response.setHeader('content-type', 'application/json');
      const path = request.url!;
      if (path === '/kv_event_sources') return void response.end(sources);
      if (path === '/tokenize') return void ((response.statusCode = 404), response.end('{}'));
      if (path === '/v1/chat/completions/render') {
        rendered.push({ path, body: JSON.parse(body) as Record<string, unknown> });
        return void response.end(JSON.stringify(answer));
      }
      response.end('{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":6,"completion_tokens":1}}');
    },
    ['/kv_event_sources', '/tokenize'],
  );
  const gateway = await startTestGateway(t, [engine.url]);
  await until(async () => {
    const { models } = (await (await fetch(`${gateway.adminUrl}/api/prefixes`)).json()) as {
      models: { renders: boolean }[];
    };
    return models[0]?.renders === true;
  });
  const probes = rendered.length;
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] }];
  const response = await postJson(`${gateway.url}/v1/chat/completions`, { model, messages, stream: false });
  assert.equal(response.status, 200);
  const [asked] = rendered.slice(probes);
  assert.deepEqual(
    [asked!.body['mm_payload'], asked!.body['messages'], 'stream' in asked!.body],
    ['none', messages, false],
  );
  const id = response.headers.get('x-signalbox-decision')!;
  const decision = (await (await fetch(`${gateway.adminUrl}/api/decisions/${id}`)).json()) as { promptTokens: number };
  assert.equal(decision.promptTokens, answer.token_ids.length);
});

test('a body with parts that are no text is told from one without', () => {
  const body = (content: unknown): Buffer => Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }] }));
  assert.equal(hasMedia(body([{ type: 'image_url', image_url: { url: 'x' } }])), true);
  assert.equal(hasMedia(body([{ type: 'text', text: 'an image_url' }])), false);
});

import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { wallClock } from '../../../src/base/clock.ts';
import type { KvEventsConfig } from '../../../src/engine/server/kv-events.ts';
import { EngineCache } from '../../../src/fleet/kv-events/engine-cache.ts';
import { EventStream } from '../../../src/fleet/kv-events/event-stream.ts';
import { PrefixIndex } from '../../../src/fleet/prefix-index/prefix-index.ts';
import { Fleet } from '../../../src/fleet/fleet.ts';
import { getterLimits, HttpGetter } from '../../../src/fleet/http-get.ts';
import { connectUpstream } from '../../../src/proxy/http-engine.ts';
import { KvEvents } from '../../../src/fleet/kv-events/kv-events.ts';
import { tokenKeyOf } from '../../../src/fleet/prefix-index/prefix-key.ts';
import { kvEventsOn } from '../../support/kv-events.ts';
import { model, postJson, silent, startEngine, until } from '../../support/fleet-under-test.ts';

/** A fleet that follows the events of these engines; how far the first one is known. */
function follow(t: TestContext, addresses: readonly string[]) {
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  const http = new HttpGetter(connectUpstream('own', null, getterLimits));
  const events = new KvEvents({ fleet, clock: wallClock, http, log: silent });
  addresses.forEach((address, i) => {
    fleet.setModels(fleet.add({ name: `engine-${i}`, address, labels: {} }), [{ id: model }]);
  });
  events.start();
  t.after(() => {
    events.close();
    http.close();
  });
  const cachedTokens = (ids: readonly number[], slot = 0): number => {
    const key = tokenKeyOf(
      { bytes: new Uint8Array(Uint32Array.from(ids).buffer), media: [] },
      null,
      null,
      fleet.prefixSeed,
    );
    return fleet.view(model, ids.length, key, performance.now(), new Set()).cachedTokens()[slot]!;
  };
  return { fleet, events, cachedTokens, complete: () => until(() => fleet.eventKnowledge(0) === 'complete') };
}

const prompt = (first: number, count = 100): number[] =>
  Array.from({ length: count }, (_, i) => 300 + ((first + i) % 500));
const complete = async (url: string, ids: readonly number[]): Promise<number> => {
  const response = await postJson(`${url}/v1/completions`, { model, prompt: ids, max_tokens: 1 });
  const body = (await response.json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } };
  return body.usage.prompt_tokens_details.cached_tokens;
};
const addressOf = (url: string): string => url.replace('http://', '');

for (const kvEventsFormat of ['map', 'array'] as const) {
  test(`what an engine has cached is known from its events (${kvEventsFormat}), also from before, as it says itself`, async (t) => {
    const engine = await startEngine(t, { kvEvents: kvEventsOn, kvEventsFormat });
    await complete(engine.url, prompt(0));
    const { cachedTokens, complete: known, events } = follow(t, [addressOf(engine.url)]);
    await known();
    assert.equal(cachedTokens(prompt(0)), 96);
    await complete(engine.url, prompt(200));
    await until(() => cachedTokens(prompt(200)) > 0);
    assert.equal(cachedTokens(prompt(200)), await complete(engine.url, prompt(200)));
    assert.equal(events.status(0)?.orphaned, 0);

    await postJson(`${engine.url}/reset_prefix_cache`, {});
    await complete(engine.url, prompt(400));
    await until(() => cachedTokens(prompt(0)) === 0);
    assert.equal(cachedTokens(prompt(400)), 96);
  });
}

test('evicted blocks are not counted on', async (t) => {
  const engine = await startEngine(t, { kvEvents: kvEventsOn, kvCacheTokens: 40 * 16 });
  const { cachedTokens, complete: known } = follow(t, [addressOf(engine.url)]);
  await known();
  for (let i = 0; i < 12; i++) await complete(engine.url, prompt(i * 37, 160));
  const newest = prompt(11 * 37, 160);
  await until(() => cachedTokens(newest) > 0);
  assert.equal(cachedTokens(newest), await complete(engine.url, newest));
  for (let i = 0; i < 8; i++) assert.equal(cachedTokens(prompt(i * 37, 160)), 0, `prompt ${i} was evicted long ago`);
  assert.equal(await complete(engine.url, prompt(0, 160)), 0);
});

test('block sizes may differ from endpoint to endpoint', async (t) => {
  const engines = await Promise.all([16, 32].map((blockSize) => startEngine(t, { kvEvents: kvEventsOn, blockSize })));
  const { fleet, cachedTokens } = follow(
    t,
    engines.map(({ url }) => addressOf(url)),
  );
  await until(() => [0, 1].every((slot) => fleet.eventKnowledge(slot) === 'complete'));
  for (const { url } of engines) await complete(url, prompt(0, 120));
  await until(() => cachedTokens(prompt(0, 120), 0) === 112 && cachedTokens(prompt(0, 120), 1) === 96);
});

test('a restarted engine is known anew, at other ports and with an empty cache', async (t) => {
  const first = await startEngine(t, { kvEvents: kvEventsOn });
  const { fleet, cachedTokens, complete: known } = follow(t, [addressOf(first.url)]);
  await known();
  await complete(first.url, prompt(0));
  await until(() => cachedTokens(prompt(0)) > 0);
  await first.close();
  const second = await startEngine(t, { kvEvents: kvEventsOn, port: first.port });
  fleet.failed(0, 'connect', performance.now()); // as the watch or a request would find
  assert.equal(cachedTokens(prompt(0)), 0);
  fleet.succeeded(0);
  await complete(second.url, prompt(200));
  await known();
  await until(() => cachedTokens(prompt(200)) > 0);
  assert.equal(cachedTokens(prompt(0)), 0);
});

/** A relay in front of a publisher that loses every message while `loses`, and can cut its connections. */
async function lossyRelay(t: TestContext, target: number) {
  const sockets = new Set<Socket>();
  const relay = { loses: false, cut: () => sockets.forEach((socket) => socket.destroy()), port: 0 };
  const server = createServer((socket) => {
    const upstream = connect(target, '127.0.0.1');
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => undefined).on('close', () => sockets.delete(each));
    }
    socket.pipe(upstream);
    // Whole messages come in one piece here: they are small.
    upstream.on('data', (chunk: Buffer) => relay.loses || socket.write(chunk));
    upstream.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    relay.cut();
    server.close();
  });
  relay.port = (server.address() as AddressInfo).port;
  return relay;
}

test('lost messages and lost connections are noticed, and healed by replay', async (t) => {
  const engine = await startEngine(t, { kvEvents: kvEventsOn });
  const published = (await (await fetch(`${engine.url}/kv_event_sources`)).json()) as Record<string, KvEventsConfig>;
  const { endpoint, replay_endpoint: replayEndpoint } = published['0']!;
  const relay = await lossyRelay(t, Number(endpoint.split(':').at(-1)));
  const index = new PrefixIndex();
  const seed = { low: 1, high: 2 };
  const cache = new EngineCache(index, 0, seed, 1024 * 1024);
  const source = { rank: 0, endpoint: `tcp://127.0.0.1:${relay.port}`, replayEndpoint, topic: '' };
  const stream = new EventStream(source, wallClock, {
    ...cache.rank(0),
    forgotten: () => cache.forget(0),
    changed: () => undefined,
  });
  t.after(() => stream.close());
  const blocks = (ids: readonly number[]): number => {
    const key = tokenKeyOf({ bytes: new Uint8Array(Uint32Array.from(ids).buffer), media: [] }, null, null, seed);
    const runs = new Float64Array(1);
    index.longestRuns(key.hashes, runs);
    return runs[0]!;
  };
  await until(() => stream.isComplete);

  relay.loses = true;
  await complete(engine.url, prompt(0));
  await new Promise((next) => setTimeout(next, 50));
  assert.equal(blocks(prompt(0)), 0);
  relay.loses = false;
  await complete(engine.url, prompt(200));
  await until(() => blocks(prompt(200)) === 6);
  assert.equal(blocks(prompt(0)), 6);
  assert.equal(stream.sequence.counts.gaps, 1);

  relay.cut();
  await until(() => !stream.isConnected);
  await complete(engine.url, prompt(400));
  await until(() => blocks(prompt(400)) === 6);
  assert.equal(blocks(prompt(0)), 6);
  assert.equal(stream.sequence.counts.restarts, 0);
  assert.ok(stream.isComplete);
});

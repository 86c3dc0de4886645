import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { hardwareProfile } from '../../src/engine/model/profiles.ts';
import { prefillCost } from '../../src/fleet/prefill-cost.ts';
import { SimulatedEngine } from '../../src/replay/simulated-engine.ts';
import type { Answer } from '../../src/replay/simulated-engine.ts';
import { ToldSpeed } from '../../src/replay/told-speed.ts';

const profile = hardwareProfile('qwen3-32b-2xh100');
const blockTokens = 512;
const network = { requestMs: 10, answerMs: 5 };
const unheard: Answer = { firstToken: () => undefined, finished: () => undefined, failed: () => undefined };

const request = (id: string, firstBlock: number, blocks: number) => ({
  id,
  promptTokens: blocks * blockTokens + 1,
  blockHashes: Float64Array.from({ length: blocks }, (_, at) => (at === 0 ? 1 : firstBlock + at)),
  maxOutputTokens: 10,
});

test('what a prompt would wait for is what it does wait for', () => {
  const clock = new VirtualClock();
  const engine = new SimulatedEngine(clock, profile, blockTokens, network);
  engine.setSpeed(0.5);
  for (const id of [100, 200, 300]) engine.send(request(`${id}`, id, 30), unheard);
  const startMs = clock.nowMs();
  let predictedMs = NaN;
  let seenMs = NaN;
  clock.after(500, () => {
    const last = request('last', 400, 20);
    const cached = engine.cachedBlocks(last.blockHashes) * blockTokens;
    assert.equal(cached, blockTokens); // the first block, which all have in common
    const seconds =
      engine.queuedPrefillSeconds(clock.nowMs()) + engine.prefillSeconds(last.promptTokens - cached, cached);
    predictedMs = clock.nowMs() + seconds * 1000;
    engine.send(last, { ...unheard, firstToken: () => (seenMs = clock.nowMs()) });
  });
  clock.run(() => Number.isNaN(seenMs));
  assert.ok(startMs < predictedMs);
  // Prompts share steps, each of which has a fixed part: up to a tenth less than one by one.
  assert.ok(Math.abs(seenMs - predictedMs) < 0.1 * seenMs, `${predictedMs} expected, ${seenMs} seen`);
});

test('a prompt on its way is known, and what it will leave in the cache', () => {
  const engine = new SimulatedEngine(new VirtualClock(), profile, blockTokens, network);
  assert.equal(engine.queuedPrefillSeconds(0), 0);
  const first = request('first', 100, 30);
  engine.send(first, unheard);
  assert.equal(engine.queuedPrefillSeconds(0), engine.prefillSeconds(first.promptTokens, 0));
  assert.equal(engine.cachedBlocks(request('other', 100, 20).blockHashes), 20);
  assert.equal(engine.cachedBlocks(request('other', 200, 20).blockHashes), 1);
});

test('a speed that is told is right at once, also for what was learned before', () => {
  let factor = 1;
  const speed = new ToldSpeed(2, () => factor);
  const cost = prefillCost(8000, 0);
  for (let at = 0; at < 50; at++) speed.observePrefill(0, cost, 2 * cost, at * 100);
  const before = speed.slowness(0, 5000);
  assert.ok(Math.abs(before - 2) < 0.2, `${before}`);
  factor = 0.25;
  assert.equal(speed.slowness(0, 5000), 4 * before);
  for (let at = 0; at < 50; at++) speed.observePrefill(0, cost, 8 * cost, 5000 + at * 100);
  factor = 1;
  assert.ok(Math.abs(speed.slowness(0, 10_000) - 2) < 0.2);
});

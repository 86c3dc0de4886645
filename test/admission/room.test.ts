import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrainRate } from '../../src/admission/drain-rate.ts';
import { Headroom } from '../../src/admission/headroom.ts';
import { kvRoomTokens } from '../../src/admission/kv-room.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { noPrefix } from '../../src/fleet/prefix-index/prefix-key.ts';

const capacity = 100_000;

/** Room on an endpoint that was sent one prompt, its gauge read `ageMs` ago. */
function roomOf({ promptTokens = 40_000, kvUsage = NaN, ageMs = 0, kept = 0, cachedTokens = 0 }): number {
  const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
  const slot = fleet.add({ name: 'e', address: '127.0.0.1:1', labels: {} });
  fleet.setModels(slot, [{ id: 'm' }]);
  if (promptTokens > 0) fleet.place({ model: 'm', streaming: true, promptTokens }, noPrefix, slot, cachedTokens, 0);
  fleet.setGauges(slot, { waiting: 0, running: 1, kvUsage, kvCapacityTokens: capacity }, 0);
  const view = fleet.view('m', 0, noPrefix, ageMs, new Set());
  return kvRoomTokens(view, slot, fleet.kvCapacityTokens[slot]!, kept);
}

test('room in a KV cache: by what was sent there, and by the gauge where it is fresh', () => {
  assert.equal(roomOf({}), 95_000 - 40_000, 'no gauge: prompts in whole');
  assert.equal(roomOf({ kvUsage: 0.1, cachedTokens: 35_000 }), 95_000 - 15_000, 'shared prefixes take their room once');
  assert.equal(roomOf({ kvUsage: 0.7, cachedTokens: 40_000 }), 95_000 - 70_000, 'answers have grown');
  assert.equal(roomOf({ kvUsage: 0.7, ageMs: 3000, cachedTokens: 40_000 }), 55_000, 'an old gauge says nothing');
  assert.equal(roomOf({ promptTokens: 0, kvUsage: 1 }), Infinity, 'where nothing of ours is, there is room');
});

test('room is kept for higher priorities, though never more than 15 %', () => {
  assert.equal(roomOf({ kept: 10_000 }), 45_000);
  assert.equal(roomOf({ kept: 90_000 }), 40_000);
});

test('headroom is what higher priorities asked for of late, and fades', () => {
  const headroom = new Headroom();
  assert.equal(headroom.tokensFor(0, 4, 0), 0);
  headroom.placed(10, 8000, 0);
  for (let i = 0; i < 9; i++) headroom.placed(10, 4000, 0);
  assert.equal(headroom.tokensFor(0, 4, 0), 11_000, 'the most in flight at once, spread');
  assert.equal(headroom.tokensFor(0, 8, 0), 8000, 'or the largest prompt');
  assert.equal(headroom.tokensFor(10, 4, 0), 0, 'nothing for its own priority');
  for (let i = 0; i < 9; i++) headroom.ended(10, 4000);
  assert.equal(headroom.tokensFor(0, 8, 300_000), 4000);
});

test('how long waiting takes is not known before anything was placed and no endpoint is there', () => {
  const rate = new DrainRate();
  assert.ok(Number.isNaN(rate.secondsFor(0, 0)));
  assert.ok(Number.isNaN(rate.secondsFor(3, 0)));
  assert.equal(rate.secondsFor(3, 2), 1.5);
});

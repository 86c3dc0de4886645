import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeenPrefills } from '../../src/fleet/seen-prefills.ts';

function learning() {
  const learned: [cost: number, seconds: number][] = [];
  return { learned, prefills: new SeenPrefills(1, (_slot, cost, seconds) => learned.push([cost, seconds])) };
}

test('each took from when it was begun, or from when the one before it was done', () => {
  const { learned, prefills } = learning();
  prefills.saw({ slot: 0, cost: 1, sinceMs: 0, doneAtMs: 1000 });
  prefills.saw({ slot: 0, cost: 2, sinceMs: 500, doneAtMs: 3000 });
  prefills.saw({ slot: 0, cost: 1, sinceMs: 4000, doneAtMs: 5000 });
  assert.deepEqual(learned, [
    [1, 1],
    [2, 2],
    [1, 1],
  ]);
});

test('what others saw a moment ago goes before what was seen here now', () => {
  const { learned, prefills } = learning();
  prefills.wait();
  prefills.saw({ slot: 0, cost: 2, sinceMs: 0, doneAtMs: 3000 });
  prefills.settle(3010, 60);
  assert.deepEqual(learned, []);
  prefills.saw({ slot: 0, cost: 1, sinceMs: 0, doneAtMs: 1000 });
  prefills.settle(3100, 60);
  assert.deepEqual(learned, [
    [1, 1],
    [2, 2],
  ]);
  prefills.settle(3200, 60);
  assert.equal(learned.length, 2);
});

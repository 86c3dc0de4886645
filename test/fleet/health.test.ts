import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Health } from '../../src/fleet/health.ts';

test('a port that refuses is left at once and asked again, ever less often, up to every 5 s', () => {
  const health = new Health();
  assert.equal(health.failed('connect', 0), true);
  assert.equal(health.up, false);
  const waits: number[] = [];
  let nowMs = 0;
  for (let probe = 0; probe < 8; probe++) {
    const sinceMs = nowMs;
    while (!health.probeIsDue(nowMs, false)) nowMs += 50;
    waits.push(nowMs - sinceMs);
    health.probed(false, nowMs);
  }
  assert.deepEqual(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  health.probed(true, nowMs);
  assert.equal(health.up, true);
});

test('with no other endpoint left it is asked often', () => {
  const health = new Health();
  health.failed('connect', 0);
  for (let i = 0; i < 5; i++) health.probed(false, 300);
  assert.equal(health.probeIsDue(400, false), false);
  assert.equal(health.probeIsDue(400, true), true);
});

test('one lost connection proves nothing, two do; server errors count when there are five in a row', () => {
  const health = new Health();
  assert.equal(health.failed('reset', 0), false);
  health.succeeded();
  assert.equal(health.failed('reset', 0), false);
  assert.equal(health.failed('reset', 0), true);
  const other = new Health();
  for (let i = 0; i < 4; i++) assert.equal(other.failed('server-error', 0), false);
  assert.equal(other.failed('server-error', 0), true);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Health, type Failure, type ProbeResult } from '../../src/fleet/health.ts';

/** How long an endpoint waits before each probe, when all of them come to `result`. */
function waitsOf(health: Health, result: ProbeResult, probes: number): number[] {
  const waits: number[] = [];
  let nowMs = 0;
  for (let probe = 0; probe < probes; probe++) {
    const sinceMs = nowMs;
    while (!health.probeIsDue(nowMs, false)) nowMs += 50;
    waits.push(nowMs - sinceMs);
    health.probed(result, nowMs);
  }
  return waits;
}

function out(failure: Failure, times: number): Health {
  const health = new Health();
  for (let i = 0; i < times; i++) health.failed(failure, 0);
  assert.equal(health.out, failure);
  return health;
}

test('a port that refuses is left at once, and asked so often that its return is seen within a second', () => {
  const health = new Health();
  assert.equal(health.failed('connect', 0), true);
  assert.equal(health.up, false);
  assert.deepEqual(waitsOf(health, 'refused', 5), [200, 400, 800, 800, 800]);
  health.probed('well', 10_000);
  assert.equal(health.up, true);
});

test('one that answers when asked and fails when used is used ever less often, up to every 5 s', () => {
  const health = out('server-error', 5);
  const waits: number[] = [];
  let nowMs = 0;
  for (let round = 0; round < 7; round++) {
    const sinceMs = nowMs;
    while (!health.probeIsDue(nowMs, false)) nowMs += 50;
    waits.push(nowMs - sinceMs);
    health.probed('well', nowMs);
    assert.equal(health.up, true);
    assert.equal(health.failed('server-error', nowMs), true, 'on trial, one failure is enough');
  }
  assert.deepEqual(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
});

test('with no other endpoint left it is asked often', () => {
  const health = out('connect', 1);
  for (let i = 0; i < 5; i++) health.probed('refused', 300);
  assert.equal(health.probeIsDue(400, false), false);
  assert.equal(health.probeIsDue(400, true), true);
});

test('one lost connection or one request left unanswered proves nothing, two in a row do', () => {
  for (const failure of ['reset', 'timeout'] as const) {
    const health = new Health();
    assert.equal(health.failed(failure, 0), false);
    health.succeeded();
    assert.equal(health.failed(failure, 0), false);
    assert.equal(health.failed(failure, 0), true);
  }
});

test('server errors count when there are five in a row, or when every second answer is one', () => {
  const inARow = new Health();
  for (let i = 0; i < 4; i++) assert.equal(inARow.failed('server-error', 0), false);
  assert.equal(inARow.failed('server-error', 0), true);

  const often = new Health();
  let failures = 0;
  while (often.up && failures < 200) {
    failures += 1;
    often.failed('server-error', 0);
    if (failures % 3 === 0 && often.up) often.succeeded();
  }
  assert.equal(often.out, 'server-error');

  const seldom = new Health();
  for (let i = 0; i < 200; i++) {
    seldom.failed('server-error', 0);
    for (let answer = 0; answer < 4; answer++) seldom.succeeded();
  }
  assert.equal(seldom.up, true);
});

test('nothing more is expected of an endpoint that answers nothing; one that fails may still be of use', () => {
  assert.equal(out('unresponsive', 1).gone, true);
  assert.equal(out('connect', 1).gone, true);
  const failing = out('server-error', 5);
  assert.equal(failing.gone, false);
  assert.equal(failing.alive, true);
  failing.failed('connect', 1);
  assert.equal(failing.gone, true, 'what is worse is known from then on');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Speed } from '../../src/fleet/speed.ts';

function near(actual: number, expected: number, share: number, what = ''): void {
  assert.ok(Math.abs(actual - expected) <= share * expected, `${what} ${actual} is not near ${expected}`);
}

/** Observes a slot once a second for `seconds`, an engine that takes `slowness` × the work. */
function observe(speed: Speed, slot: number, slowness: number, fromMs: number, seconds: number): number {
  let nowMs = fromMs;
  for (let i = 0; i < seconds; i++) {
    nowMs += 1000;
    speed.observePrefill(slot, 0.5, 0.5 * slowness, nowMs);
  }
  return nowMs;
}

test('unobserved, a slot is as slow as the reference; then as the pool', () => {
  const speed = new Speed(2);
  assert.equal(speed.slowness(0, 0), 1);
  assert.ok(Number.isNaN(speed.relative[0]));
  const nowMs = observe(speed, 0, 0.4, 0, 60);
  near(speed.slowness(0, nowMs), 0.4, 0.05);
  near(speed.slowness(1, nowMs), 0.4, 0.05);
  near(speed.relative[0]!, 2.5, 0.05);
});

test('an endpoint that slows to a third is believed within half a minute, and its recovery too', () => {
  const speed = new Speed(2);
  let nowMs = 0;
  for (let i = 0; i < 60; i++) nowMs = Math.max(observe(speed, 0, 1, i * 1000, 1), observe(speed, 1, 1, i * 1000, 1));
  nowMs = observe(speed, 0, 3, nowMs, 30);
  near(speed.slowness(0, nowMs), 3, 0.25);
  nowMs = observe(speed, 0, 1, nowMs, 40);
  near(speed.slowness(0, nowMs), 1, 0.25);
});

test('without traffic a slow endpoint is taken for one of the pool again', () => {
  const speed = new Speed(8);
  for (let i = 1; i <= 80; i++) {
    for (let slot = 0; slot < 8; slot++) speed.observePrefill(slot, 0.5, slot === 0 && i > 60 ? 1.5 : 0.5, i * 1000);
  }
  assert.ok(speed.slowness(0, 80_000) > 2);
  assert.ok(speed.slowness(0, 170_000) < 1.6);
});

test('prompts computed in one step count together', () => {
  const speed = new Speed(1);
  for (let i = 1; i <= 40; i++) {
    speed.observePrefill(0, 0.2, 0.4, i * 1000);
    speed.observePrefill(0, 0.2, 0, i * 1000);
  }
  near(speed.slowness(0, 40_000), 1, 0.02);
});

test('one prefill that waited for something else moves the speed little', () => {
  const speed = new Speed(1);
  const nowMs = observe(speed, 0, 1, 0, 60);
  speed.observePrefill(0, 0.5, 300, nowMs);
  assert.ok(speed.slowness(0, nowMs) < 1.2);
});

test('whole answers teach as well', () => {
  const speed = new Speed(1);
  for (let i = 1; i <= 60; i++) speed.observeAnswer(0, 10, 5, i * 1000);
  near(speed.slowness(0, 60_000), 0.5, 0.05);
});

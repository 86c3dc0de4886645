import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recovery } from '../../bench/routing-figures.ts';
import { slowed } from '../../bench/routing-scenarios.ts';

test('the slowed endpoint’s share is told apart by before, while slow, and minute by minute after', () => {
  const binSeconds = 59;
  const requestsOverTime = Array.from({ length: 60 }, (_, at) => {
    const bin = new Array<number>(8).fill(20);
    const isSlow = (at + 1) * binSeconds > slowed.fromSeconds && at * binSeconds < slowed.toSeconds;
    const isFirstAfter = at === Math.ceil(slowed.toSeconds / binSeconds);
    bin[slowed.endpoint] = isSlow ? 5 : isFirstAfter ? 15 : 20;
    return bin;
  });
  const drawing = {
    ttftSeconds: [],
    tpotSeconds: [],
    e2eSeconds: [],
    requestsOverTime,
    lastArrivalSeconds: 60 * binSeconds,
  };
  assert.deepEqual(recovery([drawing, drawing]), { before: 1, slow: 0.25, after: [0.75, 1, 1, 1, 1] });
});

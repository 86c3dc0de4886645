import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SignalboxError } from '../../src/base/errors.ts';
import { parseFleetEvent } from '../../src/replay/fleet-events.ts';

test('events name a time, an endpoint and what happens', () => {
  assert.deepEqual(parseFleetEvent('600s 3 slow 0.33', 8), {
    atMs: 600_000,
    endpoint: 3,
    action: { kind: 'slow', factor: 0.33 },
  });
  assert.deepEqual(parseFleetEvent(' 1.5m 0 fail ', 8), { atMs: 90_000, endpoint: 0, action: { kind: 'fail' } });
  assert.deepEqual(parseFleetEvent('2 1 return', 8), { atMs: 2000, endpoint: 1, action: { kind: 'return' } });
});

for (const [text, reason] of [
  ['', /expected "TIME ENDPOINT/],
  ['soon 3 fail', /expected "TIME ENDPOINT/],
  ['5s 8 fail', /no endpoint 8; they are numbered 0 to 7/],
  ['5s 1 slow', /share of its speed/],
  ['5s 1 slow 0', /share of its speed/],
  ['5s 1 explode', /expected "TIME ENDPOINT/],
  ['5s 1 fail now', /expected "TIME ENDPOINT/],
] as const) {
  test(`refuses "${text}" and says why`, () => {
    assert.throws(
      () => parseFleetEvent(text, 8),
      (error) => error instanceof SignalboxError && error.code === 'usage' && reason.test(error.message),
    );
  });
}

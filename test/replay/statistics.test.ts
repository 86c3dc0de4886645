import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantiles, summarise } from '../../src/replay/statistics.ts';

test('percentiles lie linearly between the nearest values; what was not measured does not count', () => {
  const values = Float64Array.from([NaN, ...Array.from({ length: 101 }, (_, index) => 100 - index)]);
  assert.deepEqual(summarise(values), { mean: 50, p50: 50, p90: 90, p99: 99 });
  assert.equal(summarise(Float64Array.of(1, 2)).p50, 1.5);
});

test('nothing measured is null, not 0', () => {
  assert.deepEqual(summarise(Float64Array.of(NaN)), { mean: null, p50: null, p90: null, p99: null });
  assert.deepEqual(quantiles(new Float64Array(0), 4), []);
});

test('quantiles run from the least to the greatest', () => {
  assert.deepEqual(quantiles(Float64Array.of(4, 0, NaN, 2), 4), [0, 1, 2, 3, 4]);
});

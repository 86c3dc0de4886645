import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Histogram, summaryOf } from '../../src/traffic/histogram.ts';
import { TimeSeries } from '../../src/traffic/time-series.ts';

test('percentiles are within 0.5 % of the exact ones, and the bins hold every value', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1e-5, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 300 }),
      (values) => {
        const histogram = new Histogram();
        for (const value of values) histogram.add(value);
        const sorted = values.toSorted((a, b) => a - b);
        for (const share of [0, 0.5, 0.9, 0.99, 1]) {
          const exact = sorted[Math.max(0, Math.ceil(share * values.length) - 1)]!;
          const found = histogram.percentile(share)!;
          assert.ok(Math.abs(found - exact) <= exact * 0.0051, `${share}: ${found}, exactly ${exact}`);
        }
        const bins = histogram.bins(40);
        assert.ok(bins.length <= 40);
        assert.equal(
          bins.reduce((sum, { count }) => sum + count, 0),
          values.length,
        );
      },
    ),
  );
});

test('nothing measured is null', () => {
  assert.deepEqual(summaryOf(new Histogram()), { mean: null, p50: null, p90: null, p99: null });
  assert.deepEqual(new Histogram().bins(10), []);
});

test('a series keeps what was added, however far time runs', () => {
  const interval = fc.tuple(fc.nat(200_000), fc.nat(90_000));
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 20 }), (intervals) => {
      const series = new TimeSeries(250, 16);
      let total = 0;
      for (const [from, length] of intervals) {
        series.addInterval(from, from + length);
        total += length;
      }
      assert.ok(Math.abs(series.at(series.stepMs).reduce((sum, one) => sum + one, 0) - total) < 1e-3);
    }),
  );
});

test('an interval is spread over the steps it covers', () => {
  const series = new TimeSeries(100, 4);
  series.addInterval(50, 220);
  series.add(399, 7);
  assert.deepEqual([...series.at(100)], [50, 100, 20, 7]);
  series.add(400, 1);
  assert.deepEqual([series.stepMs, ...series.at(200)], [200, 150, 27, 1, 0]);
});

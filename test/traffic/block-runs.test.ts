import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockCount, blockIds, leadingBlocks, runsOf } from '../../src/traffic/trace/trace.ts';

const ids = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 40 });

test('runs spell out to the ids they were made of', () => {
  fc.assert(
    fc.property(ids, (list) => {
      const runs = runsOf(list);
      assert.deepEqual([...blockIds(runs)], list);
      assert.equal(blockCount(runs), list.length);
    }),
  );
});

test('the leading blocks are the first so many', () => {
  fc.assert(
    fc.property(ids, fc.nat(50), (list, count) => {
      assert.deepEqual([...blockIds(leadingBlocks(runsOf(list), count))], list.slice(0, count));
    }),
  );
});

test('consecutive ids are one run', () => {
  assert.deepEqual(runsOf([4, 5, 6, 1, 2]), [4, 3, 1, 2]);
});

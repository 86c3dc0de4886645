import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteSlabs, headroomBytes } from '../../src/base/byte-slabs.ts';

test('memory that is given back is lent again, whole and with its room in front', () => {
  const first = byteSlabs.take(10_000);
  assert.ok(first.length >= 10_000);
  assert.equal(first.byteOffset, headroomBytes);
  byteSlabs.giveBack(first.subarray(0, 10));
  const second = byteSlabs.take(9000);
  assert.equal(second.buffer, first.buffer);
  assert.equal(second.length, first.length);
});

test('memory is lent to one at a time: what is given back twice, kept or somebody else’s is not lent again', () => {
  const twice = byteSlabs.take(20_000);
  byteSlabs.giveBack(twice);
  byteSlabs.giveBack(twice);
  assert.notEqual(byteSlabs.take(20_000).buffer, byteSlabs.take(20_000).buffer);

  const kept = byteSlabs.take(40_000);
  byteSlabs.keep(kept);
  assert.equal(byteSlabs.owns(kept), false);
  byteSlabs.giveBack(kept);
  assert.notEqual(byteSlabs.take(40_000).buffer, kept.buffer);

  const foreign = Buffer.alloc(40_000);
  byteSlabs.giveBack(foreign);
  assert.notEqual(byteSlabs.take(40_000).buffer, foreign.buffer);
});

test('what is too large to be kept is not', () => {
  const large = byteSlabs.take(3 * 1024 * 1024);
  byteSlabs.giveBack(large);
  assert.notEqual(byteSlabs.take(3 * 1024 * 1024).buffer, large.buffer);
});

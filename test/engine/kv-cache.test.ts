import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KvCache } from '../../src/engine/model/kv-cache.ts';

/** A prefix tree of hashes: block `index` of family `family`. */
const chain =
  (family: number) =>
  (index: number): number =>
    1 + family * 1000 + index;

test('whatever is taken and given back, blocks are conserved and told of truly', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), family: fc.nat(3), blocks: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('clear' as const) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 24 }), fc.array(operation, { maxLength: 80 }), (blockCount, operations) => {
      const told = new Set<number>();
      const cache = new KvCache(blockCount, true, {
        stored: (_, __, hash) => {
          assert.ok(!told.has(hash), 'stored twice');
          told.add(hash);
        },
        removed: (hash) => assert.ok(told.delete(hash), 'removed, never stored'),
        cleared: () => assert.equal(told.size, 0, 'cleared, and yet something is there'),
      });
      const tables: number[][] = [];
      for (const operation of operations) {
        if (operation.kind === 'take') {
          const hashAt = chain(operation.family);
          const hits = cache.match(hashAt, operation.blocks);
          const fresh = operation.blocks - hits;
          const before = cache.free;
          if (fresh > before - cache.freeAmong(hashAt, hits)) continue;
          const table: number[] = [];
          cache.adopt(table, hashAt, hits);
          assert.ok(cache.extend(table, fresh), 'freeAmong promised room');
          for (let index = hits; index < operation.blocks; index++)
            cache.seal(table[index]!, hashAt(index), 'r', index);
          assert.equal(new Set(table).size, operation.blocks);
          tables.push(table);
        } else if (operation.kind === 'release') {
          const [table] = tables.splice(operation.which % Math.max(1, tables.length), 1);
          if (table !== undefined) cache.release(table);
        } else {
          cache.clear();
        }
        const held = new Set(tables.flat());
        assert.equal(cache.free, blockCount - held.size);
        assert.equal(cache.cached, told.size);
      }
      for (const table of tables) cache.release(table);
      assert.equal(cache.free, blockCount);
      cache.clear();
      assert.equal(told.size, 0);
      assert.ok(cache.extend([], blockCount), 'every block can be had again');
    }),
  );
});

test('what was freed longest ago goes first, the end of a prompt before its beginning', () => {
  const removed: number[] = [];
  const cache = new KvCache(4, true, {
    stored: () => {},
    removed: (hash) => removed.push(hash),
    cleared: () => {},
  });
  const fill = (family: number): number[] => {
    const table: number[] = [];
    cache.extend(table, 2);
    table.forEach((block, index) => cache.seal(block, chain(family)(index), 'r', index));
    return table;
  };
  const [first, second] = [fill(1), fill(2)];
  cache.release(first);
  cache.release(second);
  cache.extend([], 3);
  assert.deepEqual(removed, [chain(1)(1), chain(1)(0), chain(2)(1)]);
  assert.equal(cache.match(chain(2), 2), 1);
});

test('too few blocks: nothing is taken', () => {
  const cache = new KvCache(3, true);
  const table: number[] = [];
  assert.equal(cache.extend(table, 4), false);
  assert.deepEqual([table.length, cache.free], [0, 3]);
});

test('without prefix caching nothing is found', () => {
  const cache = new KvCache(3, false);
  const table: number[] = [];
  cache.extend(table, 1);
  cache.seal(table[0]!, 7, 'r', 0);
  assert.equal(
    cache.match(() => 7, 1),
    0,
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Heap } from '../../src/base/heap.ts';

test('the top is the least and all come in order, whatever is put in, moved and taken out', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('put', 'move', 'delete'), fc.nat(20), fc.nat(100)), {
    maxLength: 100,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const items = Array.from({ length: 21 }, () => ({ rank: 0 }));
      const inside = new Set<{ rank: number }>();
      const heap = new Heap<{ rank: number }>((left, right) => left.rank < right.rank);
      for (const [what, at, rank] of all) {
        const item = items[at]!;
        if (what === 'delete') assert.equal(heap.delete(item), inside.delete(item));
        else if (what === 'put' || inside.has(item)) {
          item.rank = rank;
          heap.put(item);
          inside.add(item);
        }
        assert.equal(heap.size, inside.size);
        const ranks = [...inside].map((each) => each.rank).sort((a, b) => a - b);
        assert.equal(heap.top?.rank, ranks[0]);
        assert.deepEqual(
          [...heap.inOrder()].map((each) => each.rank),
          ranks,
        );
      }
    }),
  );
});

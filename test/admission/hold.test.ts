import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoldQueue } from '../../src/admission/hold.ts';

test('the short one goes first, until the long one has waited prefillWeight times what it needs more', () => {
  const queue = new HoldQueue<string>();
  queue.add('long', 0, 2, 5);
  queue.add('short', 1000, 0.1, 5);
  queue.add('late and short', 9600, 0.1, 5);
  assert.deepEqual(
    [0, 1, 2, 3].map((at) => queue.at(at)?.item),
    ['short', 'long', 'late and short', undefined],
  );
});

test('in order whatever is added and removed; equal ones by arrival', () => {
  const adds = fc.array(fc.tuple(fc.nat(20), fc.nat(5), fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(adds, (requests) => {
      const queue = new HoldQueue<number>();
      const expected: { id: number; order: number }[] = [];
      for (const [id, [seconds, prefillSeconds, leaves]] of requests.entries()) {
        const held = queue.add(id, seconds * 1000, prefillSeconds, 2);
        if (leaves) {
          assert.ok(queue.remove(held));
          assert.ok(!queue.remove(held));
        } else expected.push({ id, order: seconds + 2 * prefillSeconds });
      }
      expected.sort((a, b) => a.order - b.order || a.id - b.id);
      assert.equal(queue.size, expected.length);
      assert.deepEqual(
        expected.map((_, at) => queue.at(at)?.item),
        expected.map(({ id }) => id),
      );
    }),
  );
});

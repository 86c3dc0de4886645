import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SizeClasses } from '../../src/admission/size-classes.ts';

test('the bound is never above the smallest that is there, and less than a tenth below', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1 }), fc.nat(), (sizes, gone) => {
      const classes = new SizeClasses();
      for (const size of [...sizes, gone]) classes.add(size);
      classes.remove(gone);
      const least = Math.min(...sizes);
      assert.ok(
        classes.leastSize <= least && 1.1 * (1 + classes.leastSize) + 1 > least,
        `${classes.leastSize}, ${least}`,
      );
    }),
  );
  assert.equal(new SizeClasses().leastSize, Infinity);
});

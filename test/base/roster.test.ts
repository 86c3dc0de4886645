import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Roster } from '../../src/base/roster.ts';

test('a roster has who came and has not left, and may be changed while it is gone through', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('add', 'delete'), fc.nat(20)), { maxLength: 100 });
  fc.assert(
    fc.property(steps, (all) => {
      const members = Array.from({ length: 21 }, () => ({ rosterAt: -1 }));
      const inside = new Set<{ rosterAt: number }>();
      const roster = new Roster<{ rosterAt: number }>();
      for (const [what, at] of all) {
        roster[what](members[at]!);
        inside[what](members[at]!);
        assert.equal(roster.size, inside.size);
        assert.deepEqual(new Set(roster), inside);
      }
      for (const member of roster) roster.delete(member);
      assert.equal(roster.size, 0);
    }),
  );
});

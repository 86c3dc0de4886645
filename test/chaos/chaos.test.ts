import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { chaos } from './chaos.ts';

test('three minutes in which everything goes wrong: every answer is whole and the books balance', async (t) => {
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}; again with: npm run chaos -- --seed ${seed}`);
  const report = await chaos(seed, 3, () => undefined);
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual(report.mistakes, []);
  assert.ok(report.whole > 0 && report.triedAgain > 0);
});

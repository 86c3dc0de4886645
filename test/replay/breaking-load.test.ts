import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breakingLoad } from '../../src/replay/breaking-load.ts';

for (const edge of [0.037, 0.5, 1, 1.7, 40]) {
  test(`finds an edge at ${edge} to within its precision, from above or below`, () => {
    const found = breakingLoad((rate) => (rate <= edge ? 0.95 : 0.7), 0.9, 1, 0.01);
    assert.ok(found !== null && found.rate <= edge && found.rate >= edge / 1.011, `${found?.rate}`);
    assert.equal(found.inSlo, 0.95);
  });
}

test('null when nothing is ever in time; the highest rate tried when everything always is', () => {
  assert.equal(
    breakingLoad(() => 0, 0.9, 1),
    null,
  );
  assert.equal(breakingLoad(() => 1, 0.9, 1)?.rate, 64);
});

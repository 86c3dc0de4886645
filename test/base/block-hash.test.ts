import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockBytes, chainStart, hashBlocks } from '../../src/base/block-hash.ts';

const seed = { low: 1, high: 2 };
const hashes = (bytes: Uint8Array, start = seed): string[] => {
  const { low, high } = hashBlocks(bytes, start);
  return Array.from(low, (value, index) => `${value}:${high[index]}`);
};

test('hashes agree exactly as far as the prompts do, wherever their bytes lie', () => {
  const prompt = fc.uint8Array({ minLength: blockBytes, maxLength: blockBytes * 6 });
  fc.assert(
    fc.property(
      prompt,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.integer({ min: 0, max: 3 }),
      (bytes, at, change, shift) => {
        const shifted = new Uint8Array(bytes.length + shift).subarray(shift);
        shifted.set(bytes);
        assert.deepEqual(hashes(shifted), hashes(bytes));
        const other = Uint8Array.from(bytes);
        const place = at % bytes.length;
        other[place]! ^= change;
        const [a, b] = [hashes(bytes), hashes(other)];
        const changed = Math.floor(place / blockBytes);
        assert.deepEqual(a.slice(0, changed), b.slice(0, changed));
        for (let block = changed; block < a.length; block++) assert.notEqual(a[block], b[block]);
      },
    ),
  );
});

test('chains of different models, salts and seeds share nothing', () => {
  const bytes = Buffer.alloc(blockBytes, 'x');
  const starts = ['a', 'b', 'a'.repeat(70), ''].flatMap((text) => [
    chainStart(text, seed),
    chainStart(text, { low: 3, high: 2 }),
  ]);
  assert.equal(new Set(starts.map((start) => hashes(bytes, start)[0])).size, starts.length);
});

test('blocks rarely collide', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 200_000; i++) {
    const bytes = new Uint8Array(blockBytes);
    new DataView(bytes.buffer).setUint32(0, i);
    seen.add(hashes(bytes)[0]!);
  }
  assert.equal(seen.size, 200_000);
});

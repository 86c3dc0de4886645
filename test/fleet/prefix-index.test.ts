import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BlockHashes } from '../../src/base/block-hash.ts';
import { PrefixIndex } from '../../src/fleet/prefix-index/prefix-index.ts';
import { prefixKeyOf } from '../../src/fleet/prefix-index/prefix-key.ts';

const seed = { low: 7, high: 11 };
const keyOf = (text: string): BlockHashes =>
  prefixKeyOf({ model: 'm', cacheSalt: null, bytes: Buffer.from(text) }, seed).hashes;
/** A prompt of whole blocks, one letter each. */
const prompt = (letters: string): BlockHashes => keyOf([...letters].map((letter) => letter.repeat(64)).join(''));

function runs(index: PrefixIndex, letters: string, slots: number): number[] {
  const found = new Float64Array(slots);
  index.longestRuns(prompt(letters), found);
  return [...found];
}

test('finds the longest run of every slot at once', () => {
  const index = new PrefixIndex();
  index.confirm(prompt('abcd'), 0);
  index.confirm(prompt('ab'), 1);
  index.confirm(prompt('axcd'), 2);
  index.confirm(prompt('abc'), 40);
  assert.deepEqual(runs(index, 'abcde', 41).filter(Boolean), [4, 2, 1, 3]);
  assert.deepEqual(runs(index, 'b', 3), [0, 0, 0]);
  assert.deepEqual(runs(index, '', 2), [0, 0]);
});

test('agrees with a plain model of it, whatever happens', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 });
  const slot = fc.constantFrom(0, 1, 31, 32, 63);
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('pending' as const, 'confirm' as const, 'withdraw' as const), letters, slot }),
    fc.record({ kind: fc.constant('forget' as const), letters: fc.constant(''), slot }),
  );
  fc.assert(
    fc.property(fc.array(step), letters, (steps, asked) => {
      const index = new PrefixIndex();
      const held = new Map<string, 'pending' | 'confirmed'>();
      for (const { kind, letters: text, slot: at } of steps) {
        if (kind === 'forget') {
          index.forget(at);
          for (const key of held.keys()) if (key.endsWith(`@${at}`)) held.delete(key);
        }
        if (kind === 'pending') index.addPending(prompt(text), at);
        if (kind === 'confirm') index.confirm(prompt(text), at);
        if (kind === 'withdraw') index.withdraw(prompt(text), at);
        for (let depth = 1; depth <= text.length; depth++) {
          const key = `${text.slice(0, depth)}@${at}`;
          if (kind === 'confirm') held.set(key, 'confirmed');
          else if (kind === 'pending' && !held.has(key)) held.set(key, 'pending');
          else if (kind === 'withdraw' && held.get(key) === 'pending') held.delete(key);
        }
      }
      const found = runs(index, asked, 64);
      for (const at of [0, 1, 31, 32, 63]) {
        assert.equal(index.blocksAt(at), [...held.keys()].filter((key) => key.endsWith(`@${at}`)).length);
        let run = 0;
        while (run < asked.length && held.has(`${asked.slice(0, run + 1)}@${at}`)) run++;
        assert.equal(found[at], run);
      }
    }),
  );
});

test('stays within its bytes and keeps what is used', () => {
  const limitBytes = 256 * 1024;
  const index = new PrefixIndex(limitBytes);
  const often = keyOf('often'.repeat(100));
  const found = new Float64Array(1);
  for (let i = 0; i < 20_000; i++) {
    index.confirm(keyOf(`${i} `.repeat(100)), 0);
    index.longestRuns(often, found);
    if (i === 0) index.confirm(often, 0);
    assert.ok(index.bytes <= limitBytes);
  }
  index.longestRuns(often, found);
  assert.equal(found[0], often.low.length);
  index.longestRuns(keyOf('1 '.repeat(100)), found);
  assert.equal(found[0], 0);
});

test('what each slot holds is counted, also when blocks are evicted and columns grow', () => {
  const index = new PrefixIndex(64 * 1024, 32);
  const blocks = Array.from({ length: 3000 }, (_, i) => keyOf(`${i}`.padStart(4, '0').repeat(16)));
  for (const [i, block] of blocks.entries()) {
    index.confirm(block, i % 3);
    if (i % 7 === 0) index.addPending(block, i === 2800 ? 70 : 1);
  }
  const found = new Float64Array(71);
  const held = new Float64Array(71);
  for (const block of blocks) {
    index.longestRuns(block, found);
    for (const [slot, run] of found.entries()) held[slot]! += run;
  }
  assert.deepEqual(
    held.map((_, slot) => index.blocksAt(slot)),
    held,
  );
  assert.equal(index.blocksAt(70), 1);
  assert.ok(index.blocks < blocks.length, 'some were evicted');
  index.forget(1);
  assert.equal(index.blocksAt(1), 0);
});

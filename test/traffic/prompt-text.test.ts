import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { loadTokenizer } from '../../src/base/bpe.ts';
import { PromptWriter } from '../../src/traffic/prompt/prompt-text.ts';
import { shippedVocabulary } from '../../src/traffic/prompt/words.ts';
import { runsOf } from '../../src/traffic/trace/trace.ts';

const tokenizer = loadTokenizer(fileURLToPath(new URL('../../assets/tokenizer/tokenizer.json', import.meta.url)));
const vocabulary = shippedVocabulary();
const writer = new PromptWriter(vocabulary, 7);
/** As an engine counts a prompt. */
const engineTokens = (text: string): number[] => [
  ...(tokenizer.bosId === null ? [] : [tokenizer.bosId]),
  ...tokenizer.encode(text),
];

test('a prompt has exactly the wanted number of tokens', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 700 }),
      fc.array(fc.nat(1000), { maxLength: 12 }),
      fc.constantFrom(16, 64, 512),
      (promptTokens, ids, blockTokens) => {
        const text = writer.write({ promptTokens, blocks: runsOf(ids), blockTokens, key: 'a#0' });
        assert.equal(engineTokens(text).length, promptTokens);
      },
    ),
  );
});

test('prompts agree in the tokens of their common blocks and in no block after them', () => {
  const shape = { promptTokens: 100, blockTokens: 16, key: 'a#0' };
  const one = engineTokens(writer.write({ ...shape, blocks: runsOf([1, 2, 3, 4]) }));
  const two = engineTokens(writer.write({ ...shape, blocks: runsOf([1, 2, 9, 4]), key: 'b#0' }));
  assert.deepEqual(one.slice(0, 32), two.slice(0, 32));
  assert.notDeepEqual(one.slice(32, 48), two.slice(32, 48));
  assert.deepEqual(one.slice(48, 64), two.slice(48, 64));
  assert.notDeepEqual(one.slice(64), two.slice(64));
});

test('the same seed writes the same prompt, another one shares nothing with it', () => {
  const shape = { promptTokens: 64, blocks: runsOf([5, 6]), blockTokens: 16, key: 'a#1' };
  assert.equal(writer.write(shape), new PromptWriter(vocabulary, 7).write(shape));
  const other = new PromptWriter(vocabulary, 8).write(shape);
  assert.notEqual(writer.write(shape).slice(0, 40), other.slice(0, 40));
});

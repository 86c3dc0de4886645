import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { loadTokenizer } from '../../src/base/bpe.ts';
import { repository } from '../support/command.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';

const path = join(repository, 'assets/tokenizer/tokenizer.json');
const ours = loadTokenizer(path);
/** An independent implementation of the same file format. */
const theirs = new Tokenizer(JSON.parse(readFileSync(path, 'utf8')) as object, {});

function assertSame(text: string): void {
  assert.deepEqual(ours.encode(text), theirs.encode(text, { add_special_tokens: false }).ids);
}

const samples: Record<string, string> = {
  'prompt 1': prompt1,
  'prompt 2': prompt2,
  'source code': readFileSync(join(repository, 'src/base/bpe.ts'), 'utf8'),
  'an agent prompt': readFileSync(join(repository, 'testdata/prompts/agent-prompt.txt'), 'utf8'),
  'other scripts': 'Größe, naïve café. Привет мир! 你好，世界。 こんにちは 안녕하세요 שלום العربية हिन्दी',
  emoji: '👩‍💻 writes 🧪🧪 and 🏳️‍🌈\u{1f468}\u{1f3fd}!',
  'special tokens': '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|> <|eot_id>',
  'white space': 'a  b   c\t\td\r\n\r\n  e \n \n\n    f   ',
  numbers: '1 12 123 1234 1234567 3.14159 0xdeadbeef',
  'a long word': 'Donaudampfschifffahrtsgesellschaft'.repeat(10),
  'repeated letters': 'a'.repeat(500),
};
for (const [name, text] of Object.entries(samples)) {
  test(`${name}: the ids that an independent implementation finds, and the text back`, () => {
    assertSame(text);
    assert.equal(ours.decode(ours.encode(text), { specialTokens: true }), text);
  });
}

test('any text: the ids that an independent implementation finds, and the text back', () => {
  const unit = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ maxLength: 12, unit: 'grapheme' }),
    fc.constantFrom(' ', '\n', "'s", "'LL", 'the', ' token', '<|eot_id|>', '123', '…'),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 20 }), (parts) => {
      const text = parts.join('');
      assertSame(text);
      assert.equal(ours.decode(ours.encode(text), { specialTokens: true }), text);
    }),
    { numRuns: 300 },
  );
});

test('slices change nothing, also when texts are encoded alternately', () => {
  const [first, second] = [samples['source code']!, samples['an agent prompt']!];
  const [a, b] = [ours.encodeSlices(first, 100), ours.encodeSlices(second, 70)];
  const results: number[][] = [];
  for (const open = new Set([a, b]); open.size > 0;) {
    for (const slices of open) {
      const step = slices.next();
      if (!step.done) continue;
      results.push(step.value);
      open.delete(slices);
    }
  }
  results.sort((x, y) => x.length - y.length);
  const whole = [ours.encode(first), ours.encode(second)].sort((x, y) => x.length - y.length);
  assert.deepEqual(results, whole);
});

test('an endless word is encoded in slices, and comes back whole', () => {
  for (const text of ['a'.repeat(50_000), '😀'.repeat(10_000), ' '.repeat(50_000)]) {
    const slices = ours.encodeSlices(text, 32_768);
    let turns = 0;
    let step = slices.next();
    for (; !step.done; step = slices.next()) turns += 1;
    assert.ok(turns > 5, `${turns} turns`);
    assert.equal(ours.decode(step.value), text);
  }
});

test('a file that is no tokenizer is refused by name', () => {
  assert.throws(() => loadTokenizer(join(repository, 'package.json')), /package\.json is not a byte-level BPE/);
  assert.throws(() => loadTokenizer(join(repository, 'README.md')), /README\.md cannot be read/);
});

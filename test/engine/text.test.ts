import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadTokenizer } from '../../src/base/bpe.ts';
import { echoModel, wordsModel, type TextModel } from '../../src/engine/model/text.ts';
import { repository } from '../support/command.ts';

const tokenizer = loadTokenizer(join(repository, 'assets/tokenizer/tokenizer.json'));

function say(model: TextModel, tokens: readonly number[], count: number): number[] {
  const speaker = model.after(tokens);
  const said: number[] = [];
  while (said.length < count) {
    const token = speaker.next(true);
    if (token === null) break;
    said.push(token);
  }
  return said;
}

const models = { words: wordsModel(tokenizer, 'a-model', 1), echo: echoModel(tokenizer.bosId) };

for (const [name, model] of Object.entries(models)) {
  test(`${name}: continuing from the prompt and part of the answer gives the same rest, also as text`, () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 200 }), fc.nat(40), (prompt, cut) => {
        const promptTokens = tokenizer.encode(prompt);
        const answer = say(model, promptTokens, 60);
        const rest = say(model, [...promptTokens, ...answer.slice(0, cut)], 60 - Math.min(cut, answer.length));
        assert.deepEqual(rest, answer.slice(cut));
        if (name === 'words' && cut > 0) {
          const text = prompt + tokenizer.decode(answer.slice(0, cut));
          assert.deepEqual(tokenizer.encode(text), [...promptTokens, ...answer.slice(0, cut)]);
        }
      }),
      { numRuns: 200 },
    );
  });
}

test('other models, seeds and prompts say other things', () => {
  const prompt = tokenizer.encode('Tell me something.');
  const said = (model: string, seed: number, tokens = prompt): string =>
    tokenizer.decode(say(wordsModel(tokenizer, model, seed), tokens, 30));
  const answers = [said('a', 0), said('b', 0), said('a', 1), said('a', 0, tokenizer.encode('Tell me nothing.'))];
  assert.equal(new Set(answers).size, answers.length);
  assert.equal(said('a', 0), said('a', 0));
});

test('an echo says the prompt', () => {
  const prompt = tokenizer.encode('one two three four');
  assert.deepEqual(say(models.echo, prompt, prompt.length), prompt);
});

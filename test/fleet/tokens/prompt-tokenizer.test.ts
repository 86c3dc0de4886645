import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { assetPath } from '../../../src/base/assets.ts';
import { loadTokenizer } from '../../../src/base/bpe.ts';
import { renderChat } from '../../../src/engine/server/generation-request.ts';
import { loadChatTemplate } from '../../../src/fleet/tokens/chat-template.ts';
import { PromptTokenizer } from '../../../src/fleet/tokens/prompt-tokenizer.ts';
import { TextMemo } from '../../../src/fleet/tokens/text-memo.ts';
import { repository } from '../../support/command.ts';

const folder = assetPath('tokenizer');
const tokenizer = loadTokenizer(join(folder, 'tokenizer.json'));
const prose = readFileSync(join(repository, 'testdata/prompts/agent-prompt.txt'), 'utf8');

test('a text in whole and in turns has the same ids, wherever it is cut and whatever was seen before', () => {
  const odd = [
    '   ',
    '\n\n\n',
    'don’t',
    '<|eot_id|>',
    '<|begin_of_text|>',
    '你好',
    '🙂🙂',
    'aaaaaaaa',
    ' '.repeat(300),
    '<|eot',
    '\t',
    '3.14',
  ];
  const piece = fc.oneof(
    fc.constantFrom(...odd),
    fc.tuple(fc.nat(prose.length), fc.nat(3000)).map(([at, length]) => prose.slice(at, at + length)),
    fc.constant('x'.repeat(1500)),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
  );
  const memo = new TextMemo(tokenizer, 7);
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
      let text = '';
      for (const next of pieces) {
        text += next;
        assert.deepEqual([...memo.encode(text)], tokenizer.encode(text));
      }
    }),
    { numRuns: 150 },
  );
});

test('what is remembered is bounded', () => {
  const limitBytes = 200_000;
  const memo = new TextMemo(tokenizer, 7, limitBytes);
  for (let i = 0; i < 200; i++) memo.encode(`${i} ${prose}`.slice(0, 20_000));
  assert.ok(memo.bytes <= limitBytes);
  assert.ok(memo.bytes > limitBytes / 2);
});

test('the template writes a chat as the simulated engine does', () => {
  const template = loadChatTemplate(folder)!;
  const messages = [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'One.' },
        { type: 'text', text: 'Two.' },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', content: 'done' },
  ];
  for (const tools of [undefined, [{ type: 'function', function: { name: 'f', description: 'does "it"' } }]]) {
    const given = template({ messages: messages.slice(0, 2), tools, addGenerationPrompt: true, extra: {} });
    assert.equal(given, renderChat(messages.slice(0, 2), tools === undefined ? {} : { tools }));
  }
});

test('what cannot be told from the request alone is not guessed', () => {
  const prompts = new PromptTokenizer(folder, 1);
  const user = { role: 'user', content: 'Hi' };
  const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] };
  assert.ok(prompts.idsOf('chat', { messages: [user] })!.length > 0);
  for (const body of [{ messages: [image] }, { messages: [user], chat_template: 'x' }, {}, null, { messages: 'x' }]) {
    assert.equal(prompts.idsOf('chat', body), null);
  }
  assert.equal(prompts.idsOf('responses', { input: 'Hi', previous_response_id: 'r' }), null);
  assert.deepEqual(prompts.idsOf('responses', { input: 'Hi' }), prompts.idsOf('chat', { messages: [user] }));
  const [first, ...rest] = prompts.idsOf('completions', { prompt: ['Hi', 'there'] })!;
  assert.equal(first, tokenizer.bosId);
  assert.deepEqual(rest, tokenizer.encode('Hi'));
});

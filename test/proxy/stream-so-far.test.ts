import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamSoFar } from '../../src/proxy/stream-so-far.ts';

const chunk = (delta: object): object => ({ id: 'c', created: 1, choices: [{ index: 0, delta, finish_reason: null }] });

test('who speaks is no token: where nobody counts for us, what was said is what has a word in it', () => {
  const soFar = new StreamSoFar();
  soFar.add(chunk({ role: 'assistant', content: '' }));
  soFar.add(chunk({ content: 'The' }));
  soFar.addAlike(Buffer.from('" change"'), 1, 8);
  // The first bytes of a character are a token, and no text yet.
  soFar.add(chunk({ content: '' }));
  assert.deepEqual([soFar.choiceEvents, soFar.tokenEvents, soFar.text.said], [4, 3, 'The change']);
});

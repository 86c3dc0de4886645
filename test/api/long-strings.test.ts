import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chatPrompt, completionPrompt } from '../../src/api/prompt.ts';
import { parseRequest } from '../../src/api/request.ts';

const long = fc
  .tuple(fc.constantFrom('a', 'ü', '"', '\\', '\n', '\u0001', '😀', '\\"', '}', ' '), fc.nat(3000), fc.string())
  .map(([unit, times, rest]) => unit.repeat(times) + rest);
const text = fc.oneof(fc.string(), long);
const part = fc.oneof(
  fc.record({ type: fc.constant('text'), text }),
  fc.record({ type: fc.constant('image_url'), image_url: fc.record({ url: text }) }),
);
const message = fc.record(
  {
    role: fc.constantFrom('user', 'system'),
    content: fc.oneof(text, fc.array(part, { maxLength: 3 })),
    tool_calls: fc.array(text),
  },
  { requiredKeys: ['role', 'content'] },
);
const chat = fc.record(
  {
    model: fc.oneof(
      { arbitrary: fc.constant('m'), weight: 5 },
      { arbitrary: long.filter((name) => name !== ''), weight: 1 },
    ),
    messages: fc.array(message, { maxLength: 4 }),
    tools: fc.array(fc.record({ name: text, description: text }), { maxLength: 2 }),
    cache_salt: text,
    max_tokens: fc.nat(),
    stream_options: fc.record({ other: text }),
  },
  { requiredKeys: ['model', 'messages'] },
);
const completion = fc.record(
  { model: fc.constant('m'), prompt: fc.oneof(text, fc.array(text, { maxLength: 3 })), suffix: text },
  { requiredKeys: ['model', 'prompt'] },
);
const spaces = fc.constantFrom(undefined, 1, '\t');

test('a prompt is the same as when all of the body is parsed, and so is all else', () => {
  const bodies = fc.oneof(
    fc.record({ kind: fc.constant('chat' as const), fields: chat }),
    fc.record({ kind: fc.constant('completions' as const), fields: completion }),
  );
  fc.assert(
    fc.property(bodies, spaces, fc.boolean(), ({ kind, fields }, space, isAscii) => {
      const json = JSON.stringify(fields, null, space);
      const parsed = parseRequest(kind, Buffer.from(isAscii ? escaped(json) : json));
      const given = JSON.parse(json) as Record<string, unknown>;
      const expected =
        kind === 'chat' ? chatPrompt(given['messages'], given['tools']) : completionPrompt(given['prompt']);
      assert.deepEqual(
        { ...parsed.prompt, bytes: Buffer.from(parsed.prompt.bytes).toString() },
        { ...expected, bytes: Buffer.from(expected.bytes).toString() },
      );
      assert.equal(parsed.model, given['model']);
      assert.equal(parsed.cacheSalt, given['cache_salt'] ?? null);
      assert.deepEqual(parsed.streamOptions, given['stream_options']);
    }),
    { numRuns: 500 },
  );
});

/** The same JSON with escapes for all that is not ASCII, as Python writes it. */
function escaped(json: string): string {
  return json.replace(/[^\x20-\x7e\n\t]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

test('a long body that is no JSON is refused in the same words', () => {
  const prompt = 'x'.repeat(5000);
  for (const broken of [
    `{"model":"m","prompt":"${prompt}"`,
    `{"model":"m","prompt":"${prompt}`,
    `["${prompt}"]`,
    `{"model":"m" "prompt":"${prompt}"}`,
  ]) {
    const refusal = (): unknown => parseRequest('completions', Buffer.from(broken));
    assert.throws(
      refusal,
      { code: broken.startsWith('[') ? 'request_invalid' : 'body_malformed' },
      broken.slice(0, 30),
    );
    assert.throws(refusal, (error: Error) => !/\\u0001/.test(error.message));
  }
});

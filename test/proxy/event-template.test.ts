import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { SseReader } from '../../src/api/sse.ts';
import { StreamAnswerReader } from '../../src/proxy/answer-reader.ts';
import { StreamSoFar } from '../../src/proxy/stream-so-far.ts';

/** What is known of a stream when each event is parsed. */
function parsedEachByItself(bytes: Buffer): StreamSoFar {
  const soFar = new StreamSoFar();
  new SseReader((data) => {
    if (data !== '[DONE]') soFar.add(JSON.parse(data));
  }).push(bytes);
  return soFar;
}

function read(bytes: Buffer, cuts: readonly number[]): { soFar: StreamSoFar; reader: StreamAnswerReader } {
  const soFar = new StreamSoFar();
  const reader = new StreamAnswerReader(soFar);
  const places = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (const [index, end] of places.slice(1).entries()) reader.push(bytes.subarray(places[index], end));
  return { soFar, reader };
}

function known({ text, choiceEvents, finishReason, id, created, tokenIds }: StreamSoFar): object {
  return { said: text.said, unlike: text.unlike, choiceEvents, finishReason, id, created, tokenIds };
}

const said = fc.oneof(
  fc.constantFrom(' a', ' word', 'ü', '"', '\\', '\n', '', '{"text":"x"}', ' a\u2028'),
  fc.string(),
);
const choice = fc.record({ isChat: fc.boolean(), text: said, index: fc.constantFrom(0, 0, 0, 1) });
const extra = fc.constantFrom<object>({}, {}, {}, { usage: null }, { usage: { prompt_tokens: 3 } }, { token_ids: [1] });
const event = fc.record({
  choice,
  extra,
  finish: fc.constantFrom(null, null, null, null, 'stop'),
  reasoning: fc.boolean(),
});

test('events read by their likeness say what they say when each is parsed, however the stream is cut', () => {
  const stream = fc.tuple(fc.boolean(), fc.array(event, { minLength: 1, maxLength: 12 }), fc.array(fc.nat(3000)));
  fc.assert(
    fc.property(stream, ([isChat, events, cuts]) => {
      const bytes = Buffer.from(
        `${events
          .map(({ choice: { text, index }, extra: more, finish, reasoning }) => {
            const words = isChat ? { delta: { content: text, ...(reasoning ? { reasoning: 'r' } : {}) } } : { text };
            const answer = { id: 'c', created: 1, choices: [{ index, ...words, finish_reason: finish, ...more }] };
            return `data: ${JSON.stringify(answer)}\n\n`;
          })
          .join('')}data: [DONE]\n\n`,
      );
      const places = cuts.map((cut) => cut % bytes.length);
      assert.deepEqual(known(read(bytes, places).soFar), known(parsedEachByItself(bytes)));
    }),
    { numRuns: 500 },
  );
});

for (const name of ['completion_stream', 'completion_stream_usage', 'chat_stream_usage']) {
  test(`most of a recorded stream is read by likeness: ${name}`, () => {
    const text = readFileSync(new URL(`../../testdata/vllm/${name}.txt`, import.meta.url), 'utf8');
    const bytes = Buffer.from(text.slice(text.indexOf('\n\ndata: ') + 2, text.lastIndexOf('\n# seconds')));
    assert.deepEqual(known(read(bytes, []).soFar), known(parsedEachByItself(bytes)));
  });
}

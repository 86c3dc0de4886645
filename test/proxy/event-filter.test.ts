import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventFilter } from '../../src/proxy/event-filter.ts';

/** The body of a recorded stream of vLLM. */
function recorded(name: string): Buffer {
  const text = readFileSync(new URL(`../../testdata/vllm/${name}.txt`, import.meta.url), 'utf8');
  return Buffer.from(text.slice(text.indexOf('\n\ndata: ') + 2, text.lastIndexOf('\n# seconds')));
}

function filtered(hidesUsage: boolean, chunks: readonly Buffer[]): string {
  const out: Buffer[] = [];
  const filter = new EventFilter(hidesUsage, (bytes) => out.push(Buffer.from(bytes)));
  for (const chunk of chunks) filter.push(chunk);
  filter.end();
  return Buffer.concat(out).toString();
}

function assertHoweverCut(bytes: Buffer, hidesUsage: boolean, expected: string): void {
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.equal(filtered(hidesUsage, [bytes.subarray(0, cut), bytes.subarray(cut)]), expected, `cut at ${cut}`);
  }
  const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  assert.equal(filtered(hidesUsage, single), expected);
}

const withoutId = (text: string): string => text.replaceAll(/"(chat)?cmpl-[0-9a-f]+"/g, '"ID"');

test('what is left of a stream with usage is the stream without it, however it is cut', () => {
  const plain = recorded('completion_stream').toString();
  const withUsage = recorded('completion_stream_usage');
  assert.notEqual(withoutId(withUsage.toString()), withoutId(plain));
  const hidden = filtered(true, [withUsage]);
  assert.equal(withoutId(hidden), withoutId(plain));
  assertHoweverCut(withUsage, true, hidden);
});

test('of a chat likewise: one event fewer, and the fingerprint on the last', () => {
  const stream = recorded('chat_stream_usage');
  const events = stream.toString().split('\n\n');
  const hidden = filtered(true, [stream]);
  const left = hidden.split('\n\n');
  assert.equal(left.length, events.length - 1);
  assert.ok(!hidden.includes('"usage"'));
  assert.match(left.at(-3)!, /"finish_reason":"length".*"system_fingerprint":"vllm-0\.32\.0-946a7c5a"\}$/);
  assertHoweverCut(stream, true, hidden);
});

test('a stream without the event, or whose client asked for it, passes byte for byte', () => {
  for (const name of ['completion_stream', 'chat_stream_token_ids', 'queue_full_stream']) {
    const stream = recorded(name);
    assertHoweverCut(stream, true, stream.toString());
  }
  for (const name of ['completion_stream_usage', 'completion_stream_continuous_usage']) {
    const stream = recorded(name);
    assertHoweverCut(stream, false, stream.toString());
  }
});

test('long events, comments, lines that end in CR LF and words that look like usage pass as they are', () => {
  const long = `data: {"choices":[{"text":"${'x'.repeat(200_000)}"}]}\n\n`;
  const quoted = 'data: {"choices":[{"text":"\\"finish_reason\\":\\"stop\\",\\"usage\\":{}"}]}\n\n';
  const usage = 'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n';
  const ending = 'data: {"choices":[{"text":"","finish_reason":"stop"}]}\n\n';
  const rest = ': ping\n\ndata: [DONE]\n\n';
  const bytes = Buffer.from(quoted + long + ending + usage + rest);
  const crlf = Buffer.from((ending + usage + rest).replaceAll('\n', '\r\n'));
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const sorted = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const pieces = (of: Buffer) => sorted.slice(1).map((end, index) => of.subarray(sorted[index], end));
      assert.equal(filtered(true, pieces(bytes)), quoted + long + ending + rest);
      assert.equal(filtered(true, pieces(crlf)), (ending + rest).replaceAll('\n', '\r\n'));
    }),
  );
});

test('only the answer that is finished waits for the next event, and half an event is never said', () => {
  const out: string[] = [];
  const filter = new EventFilter(true, (bytes) => out.push(bytes.toString()));
  const token = 'data: {"choices":[{"text":"a","finish_reason":null}]}\n\n';
  const last = 'data: {"choices":[{"text":"b","finish_reason":"stop"}]}\n\n';
  filter.push(Buffer.from(token));
  assert.deepEqual(out, [token]);
  filter.push(Buffer.from(`${last}data: {"cho`));
  assert.deepEqual(out, [token]);
  filter.break();
  assert.deepEqual(out, [token, last]);
});

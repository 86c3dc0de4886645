import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SseReader } from '../../src/api/sse.ts';

function read(chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = [];
  const reader = new SseReader((data) => seen.push(data));
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

test('events are the same however their bytes are cut', () => {
  const text = ': ping\n\ndata: {"a":"ä€😀"}\n\ndata:x\nevent: y\ndata: z\n\nid: 7\n\ndata: [DONE]\n\n';
  const bytes = Buffer.from(text);
  const whole = ['{"a":"ä€😀"}', 'x\nz', '[DONE]'];
  assert.deepEqual(read([bytes]), whole);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const sorted = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      assert.deepEqual(read(sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))), whole);
    }),
  );
});

test('reads lines that end in CR LF', () => {
  assert.deepEqual(read([Buffer.from('data: a\r\n\r\ndata: b\r\n\r\n')]), ['a', 'b']);
});

test('an event without end does not fill memory', () => {
  const seen: string[] = [];
  const reader = new SseReader((data) => seen.push(data));
  reader.push(Buffer.from(`data: ${'x'.repeat(2 * 1024 * 1024)}`));
  reader.push(Buffer.from('\n\ndata: after\n\n'));
  assert.equal(seen.at(-1), 'after');
  assert.ok(seen.every((data) => data.length < 100));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequest } from '../../src/api/request.ts';
import { bodyAskingForUsage } from '../../src/api/stream-usage.ts';

const asking = (body: string) => bodyAskingForUsage(parseRequest('chat', Buffer.from(body)))?.toString() ?? null;
const streamed = (more: string) => asking(` {"model":"m","stream":true${more}}`);

test('a stream is asked for its usage, and all else stays as it was sent', () => {
  assert.equal(
    streamed(',"messages":[ ],"x":1.0'),
    ' {"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[ ],"x":1.0}',
  );
  for (const options of ['null', '{}', '{"include_usage":false}', '{"other":1}']) {
    const sent = JSON.parse(options) as object | null;
    assert.deepEqual(JSON.parse(streamed(`,"stream_options":${options}`)!), {
      model: 'm',
      stream: true,
      stream_options: { ...sent, include_usage: true },
    });
  }
});

test('what was asked for already, or cannot be, is left alone', () => {
  const left = [
    '{"include_usage":true}',
    '{"include_usage":true,"continuous_usage_stats":true}',
    '{"continuous_usage_stats":true}',
    '7',
  ];
  for (const options of left) {
    assert.equal(streamed(`,"stream_options":${options}`), null);
  }
  assert.equal(asking('{"model":"m"}'), null);
});

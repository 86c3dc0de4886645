import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BlockHashes } from '../../src/base/block-hash.ts';
import { encodeBatch, noNews, readBatch, type News } from '../../src/sharing/batch.ts';

const amount = fc.double({ min: 0, max: 1e12, noNaN: true });
const name = fc.string({ unit: 'grapheme', maxLength: 20 });
const hashes = fc
  .array(fc.tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 2 ** 32 - 1 })), { maxLength: 20 })
  .map((pairs): BlockHashes => ({
    low: Uint32Array.from(pairs, ([low]) => low),
    high: Uint32Array.from(pairs, ([, high]) => high),
  }));
const blocks = fc.array(fc.record({ name, tokensPerBlock: amount, runs: fc.tuple(hashes) }), { maxLength: 4 });
const kind = fc.constantFrom('completions', 'chat', 'embeddings', 'other');
const question = fc.record({
  ...{ model: name, kind, streaming: fc.boolean(), promptTokens: amount, maxOutputTokens: fc.option(amount) },
  ...{ splittable: fc.boolean(), promptBytes: amount, seed: amount, picked: name, hashes },
});
const news: fc.Arbitrary<News> = fc.record({
  ...{ hello: fc.boolean(), bye: fc.boolean(), full: fc.boolean() },
  endpoints: fc.array(
    fc.record({
      ...{ name, inFlight: amount, prefillTokens: amount, prefillCost: amount, contextTokens: amount },
      ...{ headCost: amount, headAgeMs: amount, doneAgoMs: amount },
    }),
  ),
  prefilled: fc.array(fc.record({ name, cost: amount, sinceAgoMs: amount, doneAgoMs: amount })),
  out: fc.array(fc.tuple(name, fc.constantFrom('connect', 'server-error', 'unhealthy'))),
  charges: fc.array(fc.record({ priority: fc.integer(), fairnessId: name, tokens: fc.integer() })),
  keys: fc.array(fc.record({ name, requests: amount, tokens: amount, inFlight: amount })),
  ...{ sent: blocks, withdrawn: blocks, question: fc.option(question) },
});
const header = fc.record({ from: name, start: name, atMs: amount, to: fc.option(fc.string({ minLength: 1 })) });

test('what is told is what is read, from wherever it stands in memory', () => {
  fc.assert(
    fc.property(header, news, fc.nat({ max: 7 }), (who, all, offset) => {
      const bytes = encodeBatch(who, all);
      const batch = readBatch(Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset))!;
      const { open, ...read } = batch;
      assert.deepEqual(read, structuredClone(who));
      assert.deepEqual(open(), structuredClone(all));
    }),
  );
});

test('several runs of blocks are read as one', () => {
  const run = (...words: number[]): BlockHashes => ({ low: Uint32Array.from(words), high: Uint32Array.from(words) });
  const sent = [{ name: 'a', tokensPerBlock: 16, runs: [run(1, 2), run(3)] }];
  const batch = readBatch(encodeBatch({ from: 'x', start: 's', atMs: 1, to: null }, { ...noNews, sent }))!;
  assert.deepEqual(batch.open().sent, [{ name: 'a', tokensPerBlock: 16, runs: [run(1, 2, 3)] }]);
});

test('what is cut short or mangled is refused with a RangeError, and costs no memory', () => {
  fc.assert(
    fc.property(header, news, fc.nat(), fc.nat({ max: 255 }), (who, all, at, byte) => {
      const bytes = Buffer.from(encodeBatch(who, all));
      const attempt = (told: Buffer): void => {
        try {
          readBatch(told)?.open();
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      };
      attempt(bytes.subarray(0, at % bytes.length));
      bytes[at % bytes.length] = byte;
      attempt(bytes);
    }),
  );
});

test('another version is no batch', () => {
  assert.equal(readBatch(Buffer.from('{"version":2,"from":"a-1"}')), null);
  assert.equal(readBatch(Buffer.alloc(0)), null);
});

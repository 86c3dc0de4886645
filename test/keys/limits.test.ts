import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allowance } from '../../src/keys/allowance.ts';
import { Key, type KeyUse } from '../../src/keys/key.ts';
import { Minute } from '../../src/keys/minute.ts';

const isLimited = { code: 'rate_limited', status: 429 };

test('a minute counts what came in the last sixty seconds, at most half a second more', () => {
  const event = fc.record({ afterMs: fc.integer({ min: 0, max: 20_000 }), amount: fc.integer({ min: 1, max: 1000 }) });
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 0, max: 5000 }),
      (events, startMs) => {
        const minute = new Minute();
        let nowMs = startMs;
        const past: { atMs: number; amount: number }[] = [];
        for (const { afterMs, amount } of events) {
          nowMs += afterMs;
          minute.add(nowMs, amount);
          past.push({ atMs: nowMs, amount });
          const within = (ms: number): number =>
            past.filter(({ atMs }) => nowMs - atMs < ms).reduce((sum, each) => sum + each.amount, 0);
          const total = minute.total(nowMs);
          assert.ok(total >= within(60_000), `${total} counted, ${within(60_000)} came`);
          assert.ok(total <= within(60_501), `${total} counted, ${within(60_501)} came`);
        }
        const seconds = minute.secondsUntilLess(1, nowMs);
        const before = minute.total(nowMs);
        assert.ok(minute.total(nowMs + seconds * 1000 + 1) < before);
      },
    ),
  );
});

test('a correction changes the moment that it corrects, not a later one', () => {
  const minute = new Minute();
  const halfSecond = minute.add(0, 1000);
  minute.add(30_000, 1);
  minute.correct(halfSecond, -900, 40_000);
  assert.equal(minute.total(40_000), 101);
  assert.equal(minute.total(61_000), 1);
  minute.correct(halfSecond, 500, 62_000);
  assert.equal(minute.total(62_000), 1);
});

test('a key lets its requests of a minute through and says when the next may come', () => {
  const key = new Key('a', { requestsPerMinute: 3 });
  for (const nowMs of [0, 1000, 2000]) key.begin(nowMs).ended();
  assert.throws(() => key.begin(3000), isLimited);
  try {
    key.begin(3000);
    assert.fail('it was let through');
  } catch (error) {
    const { retryAfterSeconds } = error as { retryAfterSeconds: number };
    assert.ok(Math.abs(retryAfterSeconds - 57.5) <= 0.5, `${retryAfterSeconds} s`);
    key.begin(3000 + retryAfterSeconds * 1000 + 1).ended();
  }
  assert.equal(key.usage.requests, 4);
  assert.equal(key.usage.refused.get('rate_limited'), 2);
});

test('requests at once are counted from their beginning to their end, once each', () => {
  const key = new Key('a', { maxConcurrent: 2 });
  const [first, second] = [key.begin(0), key.begin(0)] as [KeyUse, KeyUse];
  assert.throws(() => key.begin(0), isLimited);
  first.ended();
  first.ended();
  const third = key.begin(0);
  assert.throws(() => key.begin(0), isLimited);
  second.refused(0);
  third.answered({ promptTokens: 5, cachedTokens: 0, completionTokens: 2 }, 0);
  third.ended();
  assert.equal(key.inFlight, 0);
});

test('tokens are reserved by what is thought, counted by what was', () => {
  const key = new Key('a', { tokensPerMinute: 1000 });
  const use = key.begin(0);
  use.ask('m', 300, 100, 0);
  assert.equal(key.levels(0).tokens, 400);
  use.answered({ promptTokens: 310, cachedTokens: 64, completionTokens: 20 }, 5000);
  use.ended();
  assert.equal(key.levels(5000).tokens, 330);
  const more = key.begin(5000);
  more.ask('m', 600, 50, 5000);
  assert.throws(() => key.begin(5000).ask('m', 100, 10, 5000), isLimited);
  more.refused(5000);
  key.begin(5000).ask('m', 100, 10, 5000);
  assert.throws(() => key.begin(5000).ask('m', 1001, 1, 5000), { ...isLimited, message: /this prompt alone/ });
  const { promptTokens, cachedTokens, completionTokens } = key.usage;
  assert.deepEqual([promptTokens, cachedTokens, completionTokens], [310, 64, 20]);
});

test('a model that is not for a key is refused', () => {
  const key = new Key('a', { models: ['one'] });
  key.begin(0).ask('one', 1, 1, 0);
  assert.throws(() => key.begin(0).ask('two', 1, 1, 0), { code: 'forbidden', status: 403, param: 'model' });
});

test('replicas that know the same never take more than a limit together, and come close to all of it', () => {
  const scenario = fc.record({
    limit: fc.integer({ min: 1, max: 500 }),
    count: fc.integer({ min: 2, max: 6 }),
    /** Which replica is asked, between exchanges. */
    rounds: fc.array(fc.array(fc.nat(5), { maxLength: 200 }), { minLength: 20, maxLength: 20 }),
  });
  fc.assert(
    fc.property(scenario, ({ limit, count, rounds }) => {
      const own = new Array<number>(count).fill(0);
      const told = new Array<number>(count).fill(0);
      for (const [second, asked] of rounds.entries()) {
        for (const each of asked) {
          const rank = each % count;
          const others = told.reduce((sum, value, at) => (at === rank ? sum : sum + value), 0);
          const use = { own: own[rank]!, told: told[rank]!, others };
          if (allowance(limit, use, { count, rank }, second * 1000) >= 1) own[rank]! += 1;
        }
        for (const [at, value] of own.entries()) told[at] = value;
      }
      const taken = own.reduce((sum, value) => sum + value, 0);
      assert.ok(taken <= limit, `${taken} of ${limit}`);
      const wanted = rounds.flat().length;
      if (rounds.every((asked) => asked.length >= 60) && wanted >= 8 * limit) {
        assert.ok(taken >= limit * 0.98 - 1, `only ${taken} of ${limit}`);
      }
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { EngineModel } from '../../src/engine/model/engine-model.ts';
import { EngineRun } from '../../src/engine/model/engine-run.ts';
import { hardwareProfile } from '../../src/engine/model/profiles.ts';
import type { EngineRequest, Sequence } from '../../src/engine/model/sequence.ts';

const profile = hardwareProfile('llama31-8b-rtx4090');
const blockSize = 4;

/** Requests of one `family` have the same prompt, as far as it goes. */
function request(id: string, family: number, promptTokens: number, maxOutputTokens: number): EngineRequest {
  const hash = (index: number): number => 1 + family * 1000 + index;
  const blockHashes = Array.from({ length: Math.floor(promptTokens / blockSize) }, (_, index) => hash(index));
  return { id, promptTokens, maxOutputTokens, blockHashes, generatedBlockHash: hash };
}

interface Arrival {
  family: number;
  promptTokens: number;
  outputTokens: number;
  /** Steps until the next one arrives. */
  gap: number;
  /** Steps after which its client leaves. */
  abortAfter: number | null;
}

const arrival: fc.Arbitrary<Arrival> = fc.record({
  family: fc.nat(3),
  promptTokens: fc.integer({ min: 1, max: 60 }),
  outputTokens: fc.integer({ min: 1, max: 30 }),
  gap: fc.nat(4),
  abortAfter: fc.option(fc.nat(20), { freq: 4 }),
});
const load = fc.array(arrival, { minLength: 1, maxLength: 25 });
const limits = fc.record({
  kvCacheTokens: fc.integer({ min: 92, max: 300 }),
  maxNumSeqs: fc.integer({ min: 1, max: 8 }),
  maxNumBatchedTokens: fc.integer({ min: 8, max: 64 }),
});

/** Runs a load to its end; what happened, in order. Checks at each step what must always hold. */
function play(
  arrivals: readonly Arrival[],
  options: { kvCacheTokens: number; maxNumSeqs: number; maxNumBatchedTokens: number },
) {
  const model = new EngineModel(profile, { blockSize, ...options });
  const history: string[] = [];
  const sequences: Sequence[] = [];
  const ended = new Set<string>();
  const leaving = new Map<number, string[]>();
  let nowMs = 0;
  let nextAt = 0;
  let next = 0;
  for (let step = 0; next < arrivals.length || model.running + model.waiting > 0; step++) {
    assert.ok(step < 20_000, 'starves');
    for (; next < arrivals.length && nextAt <= step; next++) {
      const { family, promptTokens, outputTokens, gap, abortAfter } = arrivals[next]!;
      const id = `${next}`;
      sequences.push(model.submit(request(id, family, promptTokens, outputTokens), nowMs));
      if (abortAfter !== null) leaving.set(step + abortAfter, [...(leaving.get(step + abortAfter) ?? []), id]);
      nextAt = step + gap;
    }
    const durationMs = model.startStep(nowMs);
    for (const id of leaving.get(step) ?? []) {
      if (sequences[Number(id)]!.state === 'ended') continue;
      model.abort(id); // in the middle of a step, as clients do
      ended.add(id);
      history.push(`abort ${id}`);
    }
    nowMs += durationMs ?? 1;
    const { produced, tokens } = model.finishStep(nowMs);
    assert.ok(tokens <= options.maxNumBatchedTokens, `${tokens} tokens in a step`);
    assert.ok(model.running <= options.maxNumSeqs);
    assert.ok(model.kvUsage >= 0 && model.kvUsage <= 1);
    for (const sequence of produced) {
      assert.ok(!ended.has(sequence.id), 'a token after the end');
      history.push(`${sequence.id}:${sequence.generated}@${nowMs}`);
      if (sequence.finished) ended.add(sequence.id);
    }
  }
  assert.equal(model.cache.free, model.cache.blockCount, 'all blocks come back');
  assert.equal(ended.size, arrivals.length, 'every request ends');
  return { history, sequences, model };
}

test('any load under any limits: all end once, in order of tokens, within budget, and no block is lost', () => {
  fc.assert(
    fc.property(load, limits, (arrivals, options) => {
      const { history, sequences } = play(arrivals, options);
      arrivals.forEach(({ outputTokens, promptTokens }, index) => {
        const sequence = sequences[index]!;
        assert.equal(sequence.state, 'ended');
        assert.ok(sequence.cachedTokens % blockSize === 0 && sequence.cachedTokens < promptTokens);
        const tokens = history
          .filter((line) => line.startsWith(`${index}:`))
          .map((line) => Number(/:(\d+)/.exec(line)![1]));
        assert.deepEqual(
          tokens,
          tokens.map((_, at) => at + 1),
        );
        if (!history.includes(`abort ${index}`)) assert.equal(tokens.length, outputTokens);
      });
    }),
  );
});

test('the same load gives the same history', () => {
  fc.assert(
    fc.property(load, limits, (arrivals, options) => {
      assert.deepEqual(play(arrivals, options).history, play(arrivals, options).history);
    }),
    { numRuns: 30 },
  );
});

const roomy = { kvCacheTokens: 4000, maxNumSeqs: 8, maxNumBatchedTokens: 64 };

test('a hit is whole blocks only, and never the last token', () => {
  const one = (family: number, promptTokens: number): Arrival => ({
    family,
    promptTokens,
    outputTokens: 1,
    gap: 50,
    abortAfter: null,
  });
  const { sequences } = play([one(1, 16), one(1, 16), one(1, 18), one(2, 16)], roomy);
  assert.deepEqual(
    sequences.map(({ cachedTokens }) => cachedTokens),
    [0, 12, 16, 0],
  );
});

test('generated blocks are found by the next turn', () => {
  const turn = (promptTokens: number): Arrival => ({
    family: 1,
    promptTokens,
    outputTokens: 9,
    gap: 50,
    abortAfter: null,
  });
  // 8 + 9 tokens, the last of which is not computed: 16 in whole blocks
  assert.equal(play([turn(8), turn(24)], roomy).sequences[1]!.cachedTokens, 16);
});

test('when the cache is full the last to run gives way, waits at the front and starts over from what is cached', () => {
  const model = new EngineModel(profile, { blockSize, ...roomy, kvCacheTokens: 40 });
  const [a, b, c] = ['a', 'b', 'c'].map((id, family) => model.submit(request(id, family, 16, 12), 0));
  let nowMs = 0;
  const firstTokens: string[] = [];
  while (model.running + model.waiting > 0) {
    nowMs += model.startStep(nowMs)!;
    for (const { id, generated } of model.finishStep(nowMs).produced) if (generated === 1) firstTokens.push(id);
    if (b!.preemptions > 0 && a!.state === 'running') assert.notEqual(c!.state, 'running', 'c overtook b');
  }
  assert.deepEqual([a!.preemptions, b!.preemptions, c!.preemptions], [0, 1, 1]);
  assert.deepEqual(firstTokens, ['a', 'b', 'c']);
  assert.equal(model.totals.preemptions, 2);
  assert.deepEqual(
    [a!, b!, c!].map(({ generated }) => generated),
    [12, 12, 12],
  );
});

test('what could never fit is refused', () => {
  const model = new EngineModel(profile, { blockSize, ...roomy, kvCacheTokens: 40 });
  assert.throws(() => model.submit(request('a', 0, 30, 11), 0), /KV cache holds 40/);
  assert.equal(model.waiting, 0);
});

test('half the speed takes twice the time', () => {
  const model = new EngineModel(profile, { blockSize, ...roomy });
  model.submit(request('a', 0, 8, 3), 0);
  const fullMs = model.startStep(0)!;
  model.finishStep(fullMs);
  const decodeMs = model.startStep(fullMs)!;
  model.finishStep(fullMs + decodeMs);
  model.speed = 0.5;
  const slowMs = model.startStep(fullMs + decodeMs)!;
  assert.ok(Math.abs(slowMs / decodeMs - 2) < 0.01);
});

test('a process that was stopped for a minute does not catch up in a burst, one that was late does', () => {
  for (const [lateMs, extraTokens] of [
    [100, { atLeast: 6, atMost: 8 }],
    [60_000, { atLeast: 12, atMost: 16 }],
  ] as const) {
    const clock = new VirtualClock();
    let skewMs = 0;
    const skewed = {
      nowMs: () => clock.nowMs() + skewMs,
      epochMs: () => clock.epochMs(),
      after: (delayMs: number, task: () => void) => clock.after(delayMs, task),
    };
    const model = new EngineModel(profile, { blockSize, ...roomy });
    let tokens = 0;
    const run = new EngineRun(model, skewed, ({ produced }) => (tokens += produced.length));
    model.submit(request('a', 0, 8, 3000), 0);
    run.wake();
    clock.run(() => tokens < 10);
    const before = tokens;
    skewMs = lateMs;
    const resumedMs = clock.nowMs();
    clock.run(() => clock.nowMs() < resumedMs + 30);
    const extra = tokens - before;
    assert.ok(extra >= extraTokens.atLeast && extra <= extraTokens.atMost, `${extra} tokens after ${lateMs} ms`);
  }
});

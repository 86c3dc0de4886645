import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { play, workloadOf } from '../../src/replay/workload.ts';
import type { Trace, TraceSession, TraceTurn } from '../../src/traffic/trace/trace.ts';

const turn = (promptTokens: number, thinkMs = 0, spawns: TraceSession[] = []): TraceTurn => ({
  promptTokens,
  thinkMs,
  outputTokens: 1,
  blocks: [],
  spawns,
});
const trace = (sessions: TraceSession[], hasArrivals = true): Trace => ({
  name: 'test',
  format: 'test',
  blockTokens: 16,
  hasArrivals,
  sessions,
});
const options = {
  rate: 1,
  sessions: null,
  maxTurns: 25,
  maxPromptTokens: 1000,
  thinkTimeCapMs: 60_000,
  sessionGapMs: 1000,
  seed: 1,
};

/** When each turn is sent, where every answer takes `answerMs`. */
function sendTimes(workload: ReturnType<typeof workloadOf>, answerMs: number): [prompt: number, atMs: number][] {
  const clock = new VirtualClock();
  const sent: [number, number][] = [];
  play(workload, clock, ({ promptTokens }, _memory, answered) => {
    sent.push([promptTokens, clock.nowMs()]);
    clock.after(answerMs, answered);
  });
  clock.run(() => true);
  return sent;
}

test('a turn waits for the answer before it and for its think time, which is capped', () => {
  const session = { id: 'a', startMs: 500, turns: [turn(1), turn(2, 2000), turn(3, 1e9)] };
  const workload = workloadOf(trace([session]), options);
  assert.equal(workload.requestCount, 3);
  assert.deepEqual(sendTimes(workload, 10), [
    [1, 500],
    [2, 2510],
    [3, 62_520],
  ]);
  assert.deepEqual(sendTimes(workload, 1000), [
    [1, 500],
    [2, 3500],
    [3, 64_500],
  ]);
});

test('what a turn spawns starts when it ends and runs beside its session', () => {
  const spawned = { id: 'b', startMs: 5, turns: [turn(10), turn(11, 1)] };
  const workload = workloadOf(trace([{ id: 'a', startMs: 0, turns: [turn(1, 0, [spawned]), turn(2, 6)] }]), options);
  assert.equal(workload.requestCount, 4);
  assert.deepEqual(sendTimes(workload, 10), [
    [1, 0],
    [10, 15],
    [2, 16],
    [11, 26],
  ]);
});

test('the rate scales recorded arrivals and leaves think times alone', () => {
  const sessions = [0, 1000].map((startMs) => ({ id: `${startMs}`, startMs, turns: [turn(1), turn(2, 300)] }));
  const workload = workloadOf(trace(sessions), { ...options, rate: 2 });
  assert.deepEqual(
    sendTimes(workload, 0).map(([, atMs]) => atMs),
    [0, 300, 500, 800],
  );
});

test('long sessions are cut; with no recorded starts, sessions and starts are drawn by the seed', () => {
  const sessions = Array.from({ length: 20 }, (_, id) => ({
    id: `${id}`,
    startMs: 0,
    turns: [turn(id), turn(id), turn(id)],
  }));
  const drawn = (seed: number) => workloadOf(trace(sessions, false), { ...options, sessions: 5, maxTurns: 2, seed });
  assert.equal(drawn(1).requestCount, 10);
  assert.deepEqual(drawn(1), drawn(1));
  assert.notDeepEqual(drawn(1), drawn(2));
  assert.equal(new Set(drawn(1).sessions.map(({ id }) => id)).size, 5);
  const starts = drawn(1).sessions.map(({ startMs }) => startMs);
  assert.deepEqual(
    starts,
    [...starts].sort((left, right) => left - right),
  );
});

test('starts that were recorded in lots are spread by the seed, each before the next lot', () => {
  const sessions = Array.from({ length: 60 }, (_, id) => ({
    id: `${id}`,
    startMs: (id % 6) * 3000,
    turns: [turn(id)],
  }));
  const spread = workloadOf(trace(sessions), options).sessions;
  assert.equal(new Set(spread.map(({ startMs }) => startMs)).size, 60);
  for (const { id, startMs } of spread) assert.equal(Math.floor(startMs / 3000), Number(id) % 6);
  assert.deepEqual(spread, workloadOf(trace(sessions), options).sessions);
  assert.notDeepEqual(spread, workloadOf(trace(sessions), { ...options, seed: 2 }).sessions);
});

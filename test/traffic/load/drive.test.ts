import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { VirtualClock } from '../../../src/base/virtual-clock.ts';
import { drive } from '../../../src/traffic/load/drive.ts';
import type { DrivePlan } from '../../../src/traffic/load/drive.ts';
import { noBlocks } from '../../../src/traffic/trace/trace.ts';
import type { TraceSession, TraceTurn } from '../../../src/traffic/trace/trace.ts';

interface Call {
  readonly key: string;
  readonly atMs: number;
  readonly lateMs: number;
}

const turn = (thinkMs: number, spawns: TraceSession[] = []): TraceTurn => ({
  thinkMs,
  promptTokens: 10,
  outputTokens: 5,
  blocks: noBlocks,
  spawns,
});
const session = (id: string, startMs: number, turns: TraceTurn[]): TraceSession => ({ id, startMs, turns });
const single = (count: number): TraceSession[] =>
  Array.from({ length: count }, (_, index) => session(`s${index}`, index * 100, [turn(0)]));

/** Drives on a virtual clock; every request takes `serviceMs`. */
async function calls(
  plan: Partial<DrivePlan> & Pick<DrivePlan, 'sessions' | 'pacing'>,
  serviceMs: number,
  abortAtMs?: number,
): Promise<{ sent: Call[]; most: number; endMs: number }> {
  const clock = new VirtualClock();
  const ending = new AbortController();
  const sent: Call[] = [];
  let inFlight = 0;
  let most = 0;
  if (abortAtMs !== undefined) clock.after(abortAtMs, () => ending.abort());
  let isDone = false;
  const run = drive(
    {
      maxRequests: Infinity,
      maxDurationMs: Infinity,
      thinkCapMs: Infinity,
      concurrency: 100,
      seed: 1,
      ...plan,
    },
    ({ key, lateMs }) => {
      sent.push({ key, atMs: clock.nowMs(), lateMs });
      inFlight += 1;
      most = Math.max(most, inFlight);
      return new Promise((resolve) => {
        clock.after(serviceMs, () => {
          inFlight -= 1;
          resolve();
        });
      });
    },
    clock,
    ending.signal,
  ).then(() => (isDone = true));
  while (!isDone) {
    await setImmediate(); // lets everything that waits for no time happen
    let hasRun = false;
    clock.run(() => !hasRun && (hasRun = true));
  }
  await run;
  return { sent, most, endMs: clock.nowMs() };
}

test('sessions start as recorded, scaled; turns follow the answer and the think time', async () => {
  const sessions = [session('a', 0, [turn(0), turn(500)]), session('b', 1000, [turn(0)])];
  const { sent } = await calls({ sessions, pacing: { kind: 'recorded', speed: 2 } }, 300);
  assert.deepEqual(
    sent.map(({ key, atMs }) => [key, atMs]),
    [
      ['a#0', 0],
      ['b#0', 500],
      ['a#1', 800],
    ],
  );
});

test('think time is capped', async () => {
  const sessions = [session('a', 0, [turn(0), turn(3_600_000)])];
  const { sent } = await calls({ sessions, pacing: { kind: 'recorded', speed: 1 }, thinkCapMs: 2000 }, 100);
  assert.equal(sent[1]!.atMs, 2100);
});

test('so many sessions at once, never more; the next starts when one ends', async () => {
  const { sent, most } = await calls({ sessions: single(7), pacing: { kind: 'concurrent', sessions: 3 } }, 1000);
  assert.equal(most, 3);
  assert.deepEqual(
    sent.map(({ atMs }) => atMs),
    [0, 0, 0, 1000, 1000, 1000, 2000],
  );
});

test('what a turn spawns runs beside the session, which ends with it', async () => {
  const sessions = [
    session('a', 0, [turn(0, [session('sub', 200, [turn(0), turn(50)])]), turn(100)]),
    session('b', 0, [turn(0)]),
  ];
  const { sent } = await calls({ sessions, pacing: { kind: 'concurrent', sessions: 1 } }, 1000);
  assert.deepEqual(
    sent.map(({ key, atMs }) => [key, atMs]),
    [
      ['a#0', 0],
      ['a#1', 1100],
      ['sub#0', 1200],
      ['sub#1', 2250],
      ['b#0', 3250],
    ],
  );
});

test('arrivals at a rate do not wait for answers, come at that rate and repeat with the seed', async () => {
  const plan = { sessions: single(400), pacing: { kind: 'rate', perSecond: 10 }, concurrency: 1000 } as const;
  const { sent } = await calls(plan, 60_000);
  assert.equal(sent.length, 400);
  const seconds = sent.at(-1)!.atMs / 1000;
  assert.ok(seconds > 33 && seconds < 47, `${seconds} s`);
  assert.deepEqual((await calls(plan, 60_000)).sent, sent);
});

test('with all places taken, requests are late and none is lost', async () => {
  const { sent, most } = await calls(
    { sessions: single(6), pacing: { kind: 'recorded', speed: 1 }, concurrency: 2 },
    1000,
  );
  assert.equal(most, 2);
  assert.deepEqual(
    sent.map(({ atMs, lateMs }) => [atMs, lateMs]),
    [
      [0, 0],
      [100, 0],
      [1000, 800],
      [1100, 800],
      [2000, 1600],
      [2100, 1600],
    ],
  );
});

test('ends after the wanted number of requests, or the time', async () => {
  const pacing = { kind: 'concurrent', sessions: 3 } as const;
  assert.equal((await calls({ sessions: single(50), pacing, maxRequests: 10 }, 100)).sent.length, 10);
  const timed = await calls({ sessions: single(50), pacing, maxDurationMs: 250 }, 100);
  assert.deepEqual([timed.sent.length, timed.endMs], [9, 300]);
  const thinking = [session('a', 0, [turn(0), turn(60_000)])];
  assert.equal((await calls({ sessions: thinking, pacing, maxDurationMs: 250 }, 100)).sent.length, 1);
});

test('an abort ends all waiting', async () => {
  const sessions = [session('a', 0, [turn(0), turn(60_000)]), session('b', 90_000, [turn(0)])];
  const { sent, endMs } = await calls({ sessions, pacing: { kind: 'recorded', speed: 1 } }, 100, 500);
  assert.deepEqual([sent.length, endMs], [1, 500]);
});

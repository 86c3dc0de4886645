import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FleetEvent } from '../../src/replay/fleet-events.ts';
import { runScenario } from '../../src/replay/scenario.ts';
import type { Scenario } from '../../src/replay/scenario.ts';
import type { Trace, TraceSession } from '../../src/traffic/trace/trace.ts';
import { scenarioOf } from '../support/scenario.ts';

const seconds = 120;
const trace: Trace = {
  name: 'test',
  format: 'test',
  blockTokens: 64,
  hasArrivals: true,
  // Two a second; every fourth goes on with a second turn that shares the first one's prompt.
  sessions: Array.from({ length: 2 * seconds }, (_, id): TraceSession => {
    const turn = { promptTokens: 4000, outputTokens: 100, blocks: [id * 100, 62], spawns: [], thinkMs: 0 };
    const second = { ...turn, promptTokens: 4500, thinkMs: 500, blocks: [id * 100, 70] };
    return { id: `${id}`, startMs: id * 500, turns: id % 4 === 0 ? [turn, second] : [turn] };
  }),
};
const scenario = scenarioOf('test', 4);
const requests = 2.5 * seconds;
const run = (changes: Partial<Scenario> = {}, policy = 'least-added-wait') =>
  runScenario({ ...scenario, ...changes }, trace, policy);

test('the same arguments give the same result, another seed another', () => {
  assert.deepEqual(run(), run());
  assert.notDeepEqual(run().result, run({ seed: 2 }).result);
});

test('every request is accounted for, and hits are those of second turns', () => {
  const { result, drawing } = run({}, 'least-added-wait');
  assert.equal(result.requests, requests);
  assert.equal(result.completed, requests);
  assert.equal(
    result.perEndpoint.reduce((sum, endpoint) => sum + endpoint.requests, 0),
    requests,
  );
  assert.equal(
    drawing.requestsOverTime.flat().reduce((sum, count) => sum + count),
    requests,
  );
  const possible = ((seconds / 2) * 62 * 64) / (2 * seconds * 4000 + (seconds / 2) * 4500);
  assert.ok(result.cachedShare > 0.9 * possible && result.cachedShare <= possible, `${result.cachedShare}`);
});

test('prefill and decode apart: every request is answered, by those that decode, losing engines or not', () => {
  const roles = ['prefill', 'decode', 'prefill', 'decode'];
  const events: FleetEvent[] = [
    { atMs: 20_000, endpoint: 0, action: { kind: 'fail' } },
    { atMs: 40_000, endpoint: 0, action: { kind: 'return' } },
    { atMs: 50_000, endpoint: 2, action: { kind: 'fail' } },
  ];
  for (const policy of ['always-split', 'disaggregated']) {
    for (const happens of [[], events]) {
      const { result } = run({ roles, events: happens }, policy);
      assert.equal(result.completed, requests, `${policy}: ${JSON.stringify(result.failures)}`);
      assert.deepEqual([result.perEndpoint[0]!.requests, result.perEndpoint[2]!.requests], [0, 0]);
    }
  }
});

test('no answer is faster than the hardware', () => {
  const { drawing } = run();
  // 4,000 tokens at 40 µs each, behind 10 ms there and 5 ms back; hits take one block less than 500 more
  assert.ok(drawing.ttftSeconds[0]! > 0.02, `${drawing.ttftSeconds[0]}`);
  assert.ok(drawing.tpotSeconds[0]! > 0.013 && drawing.tpotSeconds[100]! < 0.5);
});

test('a slowed endpoint is slower, and gets less', () => {
  const events: FleetEvent[] = [{ atMs: 0, endpoint: 0, action: { kind: 'slow', factor: 0.2 } }];
  const slowed = run({ events }).result;
  assert.ok(slowed.e2eSeconds.mean! > run().result.e2eSeconds.mean!);
  assert.ok(
    slowed.perEndpoint[0]!.requests < 0.6 * slowed.perEndpoint[1]!.requests,
    JSON.stringify(slowed.perEndpoint),
  );
});

test('an endpoint that dies loses what it was answering and nothing else, and is used again when it is back', () => {
  const events: FleetEvent[] = [
    { atMs: 30_000, endpoint: 0, action: { kind: 'fail' } },
    { atMs: 60_000, endpoint: 0, action: { kind: 'return' } },
  ];
  const { result, drawing } = run({ events }, 'round-robin');
  assert.equal(result.completed + result.failed, requests);
  assert.ok(result.failed > 0 && result.failed < 10, `${result.failed}`);
  assert.deepEqual(Object.keys(result.failures), ['broken off in mid-answer']);
  const bins = drawing.requestsOverTime.map((counts) => counts[0]!);
  assert.equal(Math.max(...bins.slice(17, 29)), 0);
  assert.ok(Math.min(...bins.slice(40, 50)) >= 0 && bins.slice(35).some((count) => count > 0));
});

test('a fleet that is gone for good refuses, and the replay ends', () => {
  const events = scenario.profiles.map((_, endpoint): FleetEvent => ({
    atMs: 10_000,
    endpoint,
    action: { kind: 'fail' },
  }));
  const { result } = run({ events }, 'random');
  assert.equal(result.requests, requests);
  assert.ok(result.failed > 0.8 * requests, `${result.failed}`);
});

test('answers that come whole have no TTFT for the router, and are placed nearly as well', () => {
  const whole = run({ streaming: false }).result;
  assert.equal(whole.completed, requests);
  assert.ok(whole.e2eSeconds.mean! < 1.2 * run().result.e2eSeconds.mean!);
});

test('a prompt that does not fit into the KV cache fails alone', () => {
  const long = {
    id: 'long',
    startMs: 0,
    turns: [{ ...trace.sessions[1]!.turns[0]!, promptTokens: 300_000, blocks: [] }],
  };
  const { result } = runScenario(
    { ...scenario, maxPromptTokens: 1e9 },
    { ...trace, sessions: [long, ...trace.sessions] },
    'random',
  );
  assert.equal(result.failed, 1);
  assert.deepEqual(result.failures, { 'longer than the KV cache': 1 });
});

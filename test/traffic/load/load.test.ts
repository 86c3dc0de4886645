import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { wallClock } from '../../../src/base/clock.ts';
import { startEngineServer } from '../../../src/engine/server/engine-server.ts';
import { runLoad } from '../../../src/traffic/load/run.ts';
import type { LoadPlan } from '../../../src/traffic/load/run.ts';
import { createDispatcher, firstModel } from '../../../src/traffic/load/send.ts';
import type { Target } from '../../../src/traffic/load/send.ts';
import { summarise } from '../../../src/traffic/load/summary.ts';
import type { LoadSummary } from '../../../src/traffic/load/summary.ts';
import { renderTable } from '../../../src/traffic/load/table.ts';
import { openWorkload } from '../../../src/traffic/load/workload.ts';
import { shippedVocabulary } from '../../../src/traffic/prompt/words.ts';
import { answerWell, startOpenAiServer } from './openai-server.ts';

const vocabulary = shippedVocabulary();

async function load(
  t: TestContext,
  url: string,
  options: { requests?: number; target?: Partial<Target>; plan?: Partial<LoadPlan>; signal?: AbortSignal } = {},
): Promise<LoadSummary> {
  const workload = await openWorkload({
    trace: null,
    ratePerSecond: null,
    users: 4,
    speed: 1,
    maxRequests: options.requests ?? 12,
    hasDuration: false,
    seed: 1,
  });
  const dispatcher = createDispatcher();
  t.after(() => dispatcher.destroy());
  const plan: LoadPlan = {
    ...workload,
    maxDurationMs: Infinity,
    thinkCapMs: 0,
    concurrency: 16,
    seed: 1,
    maxPromptTokens: Infinity,
    maxOutputTokens: 20,
    ...options.plan,
  };
  const target: Target = {
    url,
    model: 'toy/model',
    kind: 'completions',
    stream: true,
    timeoutMs: 20_000,
    headers: {},
    ...options.target,
  };
  const signal = options.signal ?? new AbortController().signal;
  const { tally, durationMs } = await runLoad(
    plan,
    target,
    vocabulary,
    dispatcher,
    wallClock,
    { write: () => true },
    signal,
  );
  return summarise(tally, { workload: workload.title, url, model: target.model }, durationMs);
}

for (const kind of ['completions', 'chat'] as const) {
  for (const stream of [true, false]) {
    test(`${kind}, ${stream ? 'streamed' : 'whole'}: counts, usage, endpoints and reasons`, async (t) => {
      let turn = 0;
      const server = await startOpenAiServer(t, (received, response) => {
        turn += 1;
        answerWell(`decode-${turn % 3 === 0 ? 1 : 0}`, `prefix 0.${turn % 2}0x2 + load 0.50x1`)(received, response);
      });
      const summary = await load(t, server.url, { target: { kind, stream } });
      const { sent, completed, failed, aborted } = summary.requests; // late ones are the machine's affair
      assert.deepEqual({ sent, completed, failed, aborted }, { sent: 12, completed: 12, failed: 0, aborted: 0 });
      assert.deepEqual(summary.tokens, { prompt: 1200, cached: 480, completion: 36 });
      assert.equal(summary.cachedShare, 0.4);
      assert.deepEqual(
        summary.endpoints.map(({ endpoint, requests, cachedShare }) => [endpoint, requests, cachedShare]),
        [
          ['decode-0', 8, 0.4],
          ['decode-1', 4, 0.4],
        ],
      );
      assert.deepEqual(summary.endpoints[0]!.reasons, [
        { reason: 'prefix 0.10x2 + load 0.50x1', count: 4 },
        { reason: 'prefix 0.00x2 + load 0.50x1', count: 4 },
      ]);
      assert.equal(summary.ttftSeconds.p50 === null, !stream);
      assert.ok(summary.e2eSeconds.p50! > 0);

      const [first] = server.received;
      assert.equal(first!.path, kind === 'chat' ? '/v1/chat/completions' : '/v1/completions');
      assert.equal(first!.body['model'], 'toy/model');
      assert.deepEqual(first!.body['stream_options'], stream ? { include_usage: true } : undefined);
      assert.ok(server.received.every(({ body }) => Number(body['max_tokens']) <= 20));
      const table = renderTable(summary);
      assert.match(table, /12 of 12 requests answered/);
      assert.match(table, /480 of them cached \(40\.0 %\)/);
      assert.match(table, /decode-0 +8 +66\.7 %.*4 × prefix 0\.10x2 \+ load 0\.50x1/);
    });
  }
}

test('errors are counted by kind, and one request that fails takes no other with it', async (t) => {
  let turn = 0;
  const server = await startOpenAiServer(t, (received, response) => {
    turn += 1;
    if (turn <= 2) {
      const error = { message: `all 3 places are taken, ${turn * 100} wait`, type: 'rate_limit_error' };
      response.writeHead(429, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    } else if (turn === 3) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"choices":[{"text":"a"}]}\n\n');
    } else if (turn === 4) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"error":{"message":"the engine died","code":500}}\n\ndata: [DONE]\n\n');
    } else if (turn === 5) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"choices":[{"text":"a"}]}\n\n', () => response.destroy());
    } else {
      answerWell('decode-0', 'load 1.00x1')(received, response);
    }
  });
  const summary = await load(t, server.url, { plan: { pacing: { kind: 'concurrent', sessions: 1 } } });
  assert.deepEqual([summary.requests.completed, summary.requests.failed], [7, 5]);
  assert.deepEqual(
    new Map(summary.errors.map(({ error, count }) => [error, count])),
    new Map([
      ['429 all N places are taken, N wait', 2],
      ['the stream ended early', 1],
      ['in the stream: the engine died', 1],
      ['connection broken', 1],
    ]),
  );
  assert.match(renderTable(summary), /2 {2}429 all N places are taken/);
});

test('a server that never answers is given up after the timeout', async (t) => {
  const server = await startOpenAiServer(t, () => undefined);
  const summary = await load(t, server.url, { requests: 2, target: { timeoutMs: 50 } });
  assert.deepEqual(summary.errors, [{ error: 'no answer within 0.05 s', count: 2 }]);
});

test('an abort ends requests in flight, which are not errors', async (t) => {
  const ending = new AbortController();
  const server = await startOpenAiServer(t, () => ending.abort());
  const summary = await load(t, server.url, { signal: ending.signal });
  assert.equal(summary.requests.failed, 0);
  assert.ok(summary.requests.aborted >= 1);
  assert.ok(summary.requests.sent <= 4);
});

test('a server without usage or endpoint headers: unknown, not 0', async (t) => {
  const server = await startOpenAiServer(t, (_, response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.end('data: {"choices":[{"text":"a"}]}\n\ndata: {"choices":[{"text":"b"}]}\n\ndata: [DONE]\n\n');
  });
  const summary = await load(t, server.url);
  assert.deepEqual([summary.tokens.cached, summary.cachedShare, summary.tokens.completion], [null, null, 24]);
  assert.deepEqual(summary.endpoints, []);
  assert.match(renderTable(summary), /no answer says how many were cached/);
});

test('the first model is asked for; nobody there is a clear error', async (t) => {
  const server = await startOpenAiServer(t, () => undefined);
  const dispatcher = createDispatcher();
  t.after(() => dispatcher.destroy());
  assert.equal(await firstModel(server.url, dispatcher, {}), 'toy/model');
  await assert.rejects(firstModel('http://127.0.0.1:1', dispatcher, {}), /Nothing answers at http:\/\/127\.0\.0\.1:1/);
  await assert.rejects(firstModel(`${server.url}/elsewhere`, dispatcher, {}), { code: 'environment' });
});

test('the engine counts the tokens that were asked for and finds the shared prefixes', async (t) => {
  const engine = await startEngineServer({ model: 'toy/model', port: 0, host: '127.0.0.1', timeScale: 50 });
  t.after(() => engine.close());
  const workload = await openWorkload({
    trace: 'agent-sessions',
    ratePerSecond: null,
    users: 1,
    speed: 1,
    maxRequests: 4,
    hasDuration: false,
    seed: 1,
  });
  const [session] = workload.sessions;
  const turns = session!.turns.slice(0, 4);
  const summary = await load(t, `http://127.0.0.1:${engine.port}`, {
    plan: { ...workload, sessions: [{ ...session!, turns }], maxPromptTokens: 2000, maxOutputTokens: 5 },
  });
  assert.deepEqual([summary.requests.completed, summary.errors], [4, []]);
  assert.deepEqual(summary.tokens, { prompt: 8000, cached: 3 * 1984, completion: 20 });
});

test('a session sends the token of its last answer with its next request', async (t) => {
  let count = 0;
  const server = await startOpenAiServer(t, (received, response) => {
    response.setHeader('x-session-token', `token-${count++}`);
    answerWell('decode-0', 'session 1.00x3')(received, response);
  });
  await load(t, server.url, { requests: 40, plan: { pacing: { kind: 'concurrent', sessions: 1 } } });
  const seen = server.received.map(({ sessionToken }) => sessionToken ?? null);
  assert.equal(seen[0], null);
  // One session at a time: each request either goes on with its session, or begins the next.
  seen.forEach((token, at) => assert.ok(token === null || token === `token-${at - 1}`, `request ${at}: ${token}`));
  assert.ok(seen.filter((token) => token !== null).length > 10, `${seen.join()}`);
});

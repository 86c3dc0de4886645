import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startStack } from '../support/stack.ts';

/** Simulated engines run faster than the hardware here: what is looked at is where requests go, not how long they take. */
const fast = ['--time-scale', '40'];

interface Summary {
  requests: { completed: number; failed: number };
  cachedShare: number | null;
  endpoints: { endpoint: string; requests: number; share: number }[];
}

test('1,000 requests of the Mooncake conversation trace: no error, spread by load although all share a first block', async (t) => {
  const stack = await startStack(t, ['./signalbox'], fast);
  const run = await stack.signalbox(
    ...['load', '--trace', 'mooncake-conversation', '--requests', '1000', '--speed', '20'],
    ...['--max-tokens', '16', '--concurrency', '64', '--json'],
  );
  assert.equal(run.status, 0, run.stderr);
  const summary = JSON.parse(run.stdout) as Summary;
  assert.equal(summary.requests.completed, 1000, run.stdout.slice(0, 2000));
  assert.equal(summary.requests.failed, 0);
  assert.equal(summary.endpoints.length, 2);
  for (const { endpoint, share } of summary.endpoints) assert.ok(share >= 0.2, `${endpoint} got ${share}`);
});

test('12 agent sessions at once stick to their endpoints, and still spread', async (t) => {
  const stack = await startStack(t, ['./signalbox'], fast);
  const run = await stack.signalbox(
    ...['load', '--trace', 'agent-sessions', '--sessions', '12', '--requests', '240', '--think-time-cap', '0.2'],
    ...['--max-tokens', '16', '--max-prompt-tokens', '60000', '--json'],
  );
  assert.equal(run.status, 0, run.stderr);
  const summary = JSON.parse(run.stdout) as Summary;
  assert.equal(summary.requests.failed, 0, run.stdout.slice(0, 2000));
  assert.equal(summary.endpoints.length, 2);
  for (const { endpoint, share } of summary.endpoints) assert.ok(share >= 0.15, `${endpoint} got ${share}`);
  assert.ok((summary.cachedShare ?? 0) > 0.5, `only ${summary.cachedShare} of the prompt tokens were cached`);
});

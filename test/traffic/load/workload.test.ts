import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorkload } from '../../../src/traffic/load/workload.ts';
import type { WorkloadOptions } from '../../../src/traffic/load/workload.ts';

const none: WorkloadOptions = {
  trace: null,
  ratePerSecond: null,
  users: null,
  speed: 1,
  maxRequests: null,
  hasDuration: false,
  seed: 1,
};

for (const [what, options, pacing, maxRequests] of [
  ['nothing asked for', {}, { kind: 'concurrent', sessions: 8 }, 200],
  ['a rate for a time', { ratePerSecond: 5, hasDuration: true }, { kind: 'rate', perSecond: 5 }, Infinity],
  ['users', { users: 3, maxRequests: 7 }, { kind: 'concurrent', sessions: 3 }, 7],
  ['a trace with arrivals', { trace: 'azure2023-code', speed: 4 }, { kind: 'recorded', speed: 4 }, 8819],
  ['a trace at a rate', { trace: 'azure2023-code', ratePerSecond: 2 }, { kind: 'rate', perSecond: 2 }, 8819],
  ['sessions without arrivals', { trace: 'agent-sessions', maxRequests: 50 }, { kind: 'concurrent', sessions: 8 }, 50],
] as const) {
  test(`${what}: ${JSON.stringify(pacing)}`, async () => {
    const workload = await openWorkload({ ...none, ...options });
    assert.deepEqual(workload.pacing, pacing);
    assert.equal(workload.maxRequests, maxRequests);
  });
}

test('a rate and users exclude each other', async () => {
  await assert.rejects(openWorkload({ ...none, ratePerSecond: 1, users: 1 }), { code: 'usage' });
});

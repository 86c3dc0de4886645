import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callerOf } from '../../src/admission/objectives.ts';
import { wishOf } from '../../src/compat/llm-d-headers.ts';
import type { Objective } from '../../src/scheduler/flow-rule.ts';
import { requestOf } from '../support/scheduling.ts';

const none = { ttftTargetSeconds: null, tpotTargetSeconds: null };
const objectives: Objective[] = [
  { name: 'interactive', priority: 10, models: [], ...none, ttftTargetSeconds: 2 },
  { name: 'batch', priority: -1, models: ['night'], ...none },
];

test('both families of names, the newer one first; milliseconds become seconds', () => {
  assert.deepEqual(
    wishOf({
      'x-llm-d-inference-objective': 'interactive',
      'x-gateway-inference-objective': 'batch',
      'x-gateway-inference-fairness-id': 'team-a',
      'x-slo-ttft-ms': '1500',
      'x-llm-d-slo-tpot-ms': '50',
    }),
    { objective: 'interactive', fairnessId: 'team-a', ttftTargetSeconds: 1.5, tpotTargetSeconds: 0.05 },
  );
  assert.equal(wishOf({ 'content-type': 'application/json' }), null);
});

test('a target that is no time is refused by its name', () => {
  for (const value of ['soon', '0', '-5', 'Infinity']) {
    assert.throws(() => wishOf({ 'x-slo-ttft-ms': value }), { code: 'request_invalid', param: 'x-llm-d-slo-ttft-ms' });
  }
});

test('an objective by its name, else by the model; own targets win; unknown names give nothing', () => {
  const wish = { objective: 'interactive', fairnessId: 'a', ...none };
  const caller = (fields: Parameters<typeof requestOf>[0]) => callerOf(requestOf(fields), objectives);
  assert.deepEqual(caller({ wish }), { priority: 10, fairnessId: 'a', ...none, ttftTargetSeconds: 2 });
  assert.equal(caller({ wish: { ...wish, ttftTargetSeconds: 9 } })?.ttftTargetSeconds, 9);
  assert.equal(caller({ model: 'night' })?.priority, -1);
  assert.equal(caller({ wish: { ...wish, objective: 'root' } })?.priority, 0);
  assert.equal(caller({}), null);
});

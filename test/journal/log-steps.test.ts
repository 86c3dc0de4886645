import assert from 'node:assert/strict';
import { test } from 'node:test';
import { briefLines } from '../../src/journal/brief-log.ts';
import { decisionSteps, outcomeSteps, stepLines } from '../../src/journal/log-steps.ts';
import type { Decision } from '../../src/scheduler/decision.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { decide, requestOf, viewOf } from '../support/scheduling.ts';
import { shareTestConfig, unscoredTestConfig } from '../scheduler/arbitraries.ts';

const policy = policyFromConfig(shareTestConfig, 'test');

function messages(decision: Decision): string[] {
  return decisionSteps(decision, { namespace: 'default' }).map(({ fields }) => String(fields['msg']));
}

test('a hit: scores are shown, nothing is missed, nothing is random', () => {
  const view = viewOf([{ name: 'a', cachedTokens: 48 }, { name: 'b' }], 'match');
  const steps = decisionSteps(decide(policy, requestOf(), view, 1), { namespace: 'default' });
  const got = steps.find(({ fields }) => fields['msg'] === 'Got pod scores')!;
  assert.deepEqual(got.fields['scores'], { a: 0.5, b: 0 });
  assert.deepEqual(got.fields['cachedTokens'], { a: 48, b: 0 });
  const said = steps.map(({ fields }) => fields['msg']);
  assert.ok(!said.includes('No scores found for pods'));
  assert.ok(!said.includes('Selecting a random pod from 2 candidates'));
});

test('no hit: no scores, and the reason in words', () => {
  for (const reason of ['nothing stored yet', 'shorter than one block', 'no match'] as const) {
    const decision = decide(policy, requestOf(), viewOf([{ name: 'a' }], reason), 1);
    const steps = decisionSteps(decision, { namespace: 'default' });
    const got = steps.find(({ fields }) => fields['msg'] === 'Got pod scores')!;
    const none = steps.find(({ fields }) => fields['msg'] === 'No scores found for pods')!;
    assert.deepEqual([got.fields['scores'], got.fields['reason'], none.fields['reason']], [{}, reason, reason]);
  }
});

test('nobody left: the log says so and no request is handled', () => {
  const said = messages(decide(policy, requestOf(), viewOf([{ name: 'p', role: 'prefill' }]), 1));
  assert.ok(said.includes('No pod was left to pick'));
  assert.ok(!said.includes('Request handled'));
});

test('unknown gauges are null, header values never appear, every line has level, time, message and request id', () => {
  const headers = { authorization: 'Bearer secret', 'user-agent': 'curl' };
  const decision = decide(policy, requestOf({ headers }), viewOf([{ name: 'a' }]), 1);
  decision.outcome = {
    status: 200,
    endpoint: 'a',
    promptTokens: null,
    cachedTokens: null,
    ttftSeconds: null,
    e2eSeconds: 1,
    completionTokens: 5,
  };
  const steps = [...decisionSteps(decision, { namespace: 'default' }), ...outcomeSteps(decision, 0)];
  const text = JSON.stringify(steps);
  assert.ok(!text.includes('secret') && !text.includes('curl') && text.includes('user-agent'));
  assert.ok(text.includes('"WaitingQueueSize":null') && text.includes('"TotalTokens":null'));
  for (const { fields } of steps) {
    assert.match(String(fields['level']), /^(info|Level\(-\d\))$/);
    assert.match(String(fields['ts']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(fields['x-request-id'], 'request-1');
    assert.ok(fields['msg']);
  }
});

test('before the end there is nothing to say of it', () => {
  assert.deepEqual(outcomeSteps(decide(policy, requestOf(), viewOf([{ name: 'a' }]), 1), 0), []);
});

test('of the lower verbosities the same steps are made as are shown of all', () => {
  const decision = decide(policy, requestOf(), viewOf([{ name: 'a', cachedTokens: 48 }, { name: 'b' }], 'match'), 1);
  const all = decisionSteps(decision, { namespace: 'default' });
  for (const verbosity of [0, 1, 2, 3, 4]) {
    const shown = all.filter((step) => step.verbosity <= verbosity);
    assert.deepEqual(decisionSteps(decision, { namespace: 'default', verbosity }), shown);
  }
});

test('the lines that most logs have are put together by hand as they would be from their steps', () => {
  const configs = [policy, policyFromConfig({ ...shareTestConfig, ...unscoredTestConfig }, 'unscored')];
  const views = [viewOf([{ name: 'a' }, { name: 'b "x"' }], 'no match'), viewOf([{ name: 'p', role: 'prefill' }])];
  const requests = [requestOf(), requestOf({ requestId: 'with "quotes"\n', model: 'm/"n"' })];
  for (const each of configs) {
    for (const view of views) {
      for (const request of requests) {
        const decision = decide(each, request, view, 7);
        for (const verbosity of [0, 1, 2, 3]) {
          const context = { namespace: 'a "namespace"', verbosity };
          assert.equal(briefLines(decision, context), stepLines(decisionSteps(decision, context)));
        }
      }
    }
  }
});

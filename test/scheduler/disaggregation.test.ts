import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decisionJson } from '../../src/journal/decision-json.ts';
import { explainTable } from '../../src/journal/explain-table.ts';
import { decisionSteps } from '../../src/journal/log-steps.ts';
import { type EndpointPickerConfig, policyFromConfig } from '../../src/scheduler/config.ts';
import type { Policy } from '../../src/scheduler/policy.ts';
import { rerun } from '../../src/scheduler/rerun.ts';
import { decide, pickedName, requestOf, viewOf, type Row } from '../support/scheduling.ts';
import { fleets, requests } from './arbitraries.ts';

type Plugins = EndpointPickerConfig['plugins'];

/** Profiles in seconds, as ours are, under one handler. */
function policyOf(handlerAndDeciders: Plugins, profiles = ['decode', 'prefill']): Policy {
  const config: EndpointPickerConfig = {
    apiVersion: 'llm-d.ai/v1alpha1',
    kind: 'EndpointPickerConfig',
    plugins: [
      ...handlerAndDeciders,
      { type: 'decode-filter' },
      { type: 'prefill-filter' },
      { type: 'queued-prefill-cost' },
      { type: 'own-prefill-cost' },
    ],
    schedulingProfiles: profiles.map((name) => ({
      name,
      plugins: [
        { pluginRef: name === 'prefill' ? 'prefill-filter' : 'decode-filter' },
        { pluginRef: 'queued-prefill-cost' },
        { pluginRef: 'own-prefill-cost' },
      ],
    })),
  };
  return policyFromConfig(config, 'test');
}

const asks = (decider: string): Plugins[number] => ({
  type: 'disagg-profile-handler',
  parameters: { deciders: { prefill: decider } },
});
const costBased = policyOf([asks('cost-based-pd-decider'), { type: 'cost-based-pd-decider' }]);
const always = policyOf([asks('always-disagg-pd-decider'), { type: 'always-disagg-pd-decider' }]);

function split(policy: Policy, rows: Row[], promptTokens = 8000): { decode: string | null; prefill: string | null } {
  const decision = decide(policy, requestOf({ promptTokens }), viewOf(rows), 1);
  return { decode: pickedName(decision), prefill: decisionJson(decision).disaggregation!.prefill };
}

test('our decider splits while that is sooner, or frees those who decode', () => {
  const idle: Row[] = [
    { name: 'd', role: 'decode', prefillSeconds: 1 },
    { name: 'p', role: 'prefill', prefillSeconds: 1 },
  ];
  assert.deepEqual(split(costBased, idle), { decode: 'd', prefill: null }, 'nobody to free: a transfer for nothing');
  const [d, p] = idle as [Row, Row];
  assert.deepEqual(split(costBased, [{ ...d, inFlight: 8 }, p]), { decode: 'd', prefill: 'p' }, 'frees eight');
  const queued = { ...p, queuedPrefillSeconds: 9 };
  assert.deepEqual(split(costBased, [{ ...d, inFlight: 8 }, queued]), { decode: 'd', prefill: null }, 'p is behind');
  assert.deepEqual(split(costBased, [{ ...d, inFlight: 1 }, queued]), { decode: 'd', prefill: null }, 'and d is free');
  const slow = { ...d, inFlight: 1, prefillShare: 0.4 };
  assert.deepEqual(split(costBased, [slow, queued]), { decode: 'd', prefill: 'p' }, 'answers at d are slow enough');
  const warm = { ...d, inFlight: 8, prefillSeconds: 0.01, cachedTokens: 7900 };
  assert.deepEqual(split(costBased, [warm, p]), { decode: 'd', prefill: null }, 'what is cached is not computed');
});

test('an endpoint of role both may prefill for another, not for itself', () => {
  const rows: Row[] = [
    { name: 'a', role: 'both', prefillSeconds: 1 },
    { name: 'b', role: 'both', prefillSeconds: 1, queuedPrefillSeconds: 0.5 },
  ];
  assert.deepEqual(split(always, rows), { decode: 'a', prefill: null });
  const three = [...rows, { name: 'p', role: 'prefill', prefillSeconds: 0.1 }];
  assert.deepEqual(split(always, three), { decode: 'a', prefill: 'p' });
});

test('prefill first and no decider: everything is split', () => {
  const policy = policyOf([{ type: 'disagg-profile-handler', parameters: { stageOrder: 'prefill-first' } }]);
  const rows: Row[] = [
    { name: 'd', role: 'decode' },
    { name: 'p', role: 'prefill' },
  ];
  assert.deepEqual(split(policy, rows, 1), { decode: 'd', prefill: 'p' });
  const decision = decide(policy, requestOf(), viewOf(rows), 1);
  assert.deepEqual(
    decision.profiles.map(({ name }) => name),
    ['prefill', 'decode'],
  );
});

test('pd-profile-handler: a threshold of 0 splits everything, as it does in llm-d', () => {
  const rows: Row[] = [
    { name: 'd', role: 'decode', cachedTokens: 40 },
    { name: 'p', role: 'prefill' },
  ];
  const withThreshold = (threshold: number): Policy =>
    policyOf([{ type: 'pd-profile-handler', parameters: { threshold } }]);
  assert.equal(split(withThreshold(0), rows, 50).prefill, 'p');
  assert.equal(split(withThreshold(11), rows, 50).prefill, null);
  assert.equal(split(withThreshold(10), rows, 50).prefill, 'p');
});

test('the profile `together` places what is not split', () => {
  const parameters = { profiles: { together: 'whole' }, deciders: { prefill: 'prefix-based-pd-decider' } };
  const policy = policyOf(
    [
      { type: 'disagg-profile-handler', parameters },
      { type: 'prefix-based-pd-decider', parameters: { nonCachedTokens: 100 } },
    ],
    ['decode', 'prefill', 'whole'],
  );
  const rows: Row[] = [
    { name: 'd', role: 'decode' },
    { name: 'p', role: 'prefill' },
  ];
  const names = (promptTokens: number): string[] =>
    decide(policy, requestOf({ promptTokens }), viewOf(rows), 1).profiles.map(({ name }) => name);
  assert.deepEqual(names(99), ['decode', 'whole']);
  assert.deepEqual(names(100), ['decode', 'prefill']);
});

test('what a handler refers to must be there', () => {
  assert.throws(
    () => policyOf([asks('prefix-based-pd-decider')]),
    /asks the decider "prefix-based-pd-decider", which is/,
  );
  assert.throws(
    () => policyOf([asks('always-disagg-pd-decider'), { type: 'always-disagg-pd-decider' }], ['decode']),
    /runs the profile "prefill", which is not configured/,
  );
  const encode = { deciders: { encode: 'always-disagg-multimodal-decider' } };
  assert.throws(
    () => policyOf([{ type: 'disagg-profile-handler', parameters: encode }]),
    /leave the encode decider out/,
  );
});

test('explain and the log show both passes', () => {
  const rows: Row[] = [
    { name: 'd', role: 'decode', inFlight: 8, prefillSeconds: 1 },
    { name: 'p', role: 'prefill', prefillSeconds: 1 },
  ];
  const decision = decide(costBased, requestOf({ promptTokens: 8000 }), viewOf(rows), 1);
  const table = explainTable(decisionJson(decision));
  assert.match(
    table,
    /profile decode:[^]*profile prefill:[^]*picked d[^]*prefill went to p\n {2}because cost-based-pd-decider/,
  );
  const steps = decisionSteps(decision, { namespace: 'n' }).map(({ fields }) => fields);
  const passes = steps.filter(({ msg }) => msg === 'Scheduling a request').map(({ profile }) => profile);
  assert.deepEqual(passes, ['decode', 'prefill']);
  const chosen = steps.find(({ msg }) => msg === 'Scheduling to separate Prefill and Decode workers')!;
  assert.deepEqual([chosen['prefill'], chosen['decode']], ['p', 'd']);
});

test('for any fleet: prefill is another endpoint that prefills, decode one that decodes, and it is decided again alike', () => {
  for (const policy of [always, costBased]) {
    fc.assert(
      fc.property(fleets, requests, fc.nat(), (rows, request, seed) => {
        const decision = decide(policy, requestOf(request), viewOf(rows), seed);
        const { picked, disaggregation } = decision;
        assert.ok(disaggregation !== null);
        if (disaggregation.split) {
          assert.notEqual(disaggregation.prefill, picked);
          assert.ok(['prefill', 'both'].includes(decision.candidates[disaggregation.prefill]!.role ?? ''));
        } else assert.equal(disaggregation.prefill, -1);
        if (picked >= 0) assert.notEqual(decision.candidates[picked]!.role, 'prefill');
        assert.equal(rerun(decision, policy), pickedName(decision));
      }),
    );
  }
});

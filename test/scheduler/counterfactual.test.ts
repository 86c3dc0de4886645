import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { counterfactual, type Counterfactual, type Flip } from '../../src/scheduler/counterfactual.ts';
import type { Decision } from '../../src/scheduler/decision.ts';
import type { Policy } from '../../src/scheduler/policy.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { decide, pickedName, requestOf, viewOf, type Row } from '../support/scheduling.ts';
import { fleets, requests, shareTestConfig, unscoredTestConfig } from './arbitraries.ts';

const share = policyFromConfig(shareTestConfig, 'share');
const names = [
  'least-added-wait',
  'lmetric',
  'dynamo',
  'llm-d-legacy',
  'llm-d-token-aware',
  'power-of-two',
  'smg-least-load',
];
const policies = [share, ...names.map(presetPolicy)].filter(({ stateful }) => stateful.length === 0);
const anyPolicy = fc.constantFrom(...policies);
const prefillCost = (uncached: number, cached: number): number => (uncached * (1 + cached / 10_000) + 100) / 8000;

function flipsOf(decision: Decision, policy: Policy): Counterfactual {
  const search = counterfactual(decision, policy, prefillCost);
  for (;;) {
    const { done, value } = search.next();
    if (done) return value;
  }
}

/** As the fleet has them: seconds that follow from tokens, at a speed of the endpoint's own. */
function consistent(rows: readonly Row[], promptTokens: number): Row[] {
  return rows.map((row, index) => {
    const cachedTokens = Math.min(row.cachedTokens ?? 0, promptTokens);
    return {
      ...row,
      cachedTokens,
      queuedPrefillSeconds: row.queuedPrefillSeconds ?? (row.queuedPrefillTokens ?? 0) / 9000,
      prefillSeconds: 2 ** (index % 3) * prefillCost(promptTokens - (cachedTokens || 0), cachedTokens || 0),
    };
  });
}

/** The rows with one number of `name` changed, and what follows from it. */
function changed(rows: readonly Row[], name: string, input: Flip['input'], value: number, promptTokens: number): Row[] {
  return rows.map((row, index) => {
    if (row.name !== name) return row;
    const next = { ...row, [input]: value };
    if (input !== 'cachedTokens') return next;
    return { ...next, prefillSeconds: 2 ** (index % 3) * prefillCost(promptTokens - value, value) };
  });
}

test('at the flip value another is picked, just before it the same; found again with none of the search', () => {
  let flipped = 0;
  fc.assert(
    fc.property(anyPolicy, fleets, requests, fc.nat(), (policy, anyRows, request, seed) => {
      const { promptTokens = 0 } = request;
      const rows = consistent(anyRows, promptTokens);
      const pickOf = (from: Row[]): string | null => pickedName(decide(policy, requestOf(request), viewOf(from), seed));
      const decision = decide(policy, requestOf(request), viewOf(rows), seed);
      const { unknown, profiles } = flipsOf(decision, policy);
      assert.equal(unknown, null);
      for (const { candidate, input, unit, from, to, picks } of profiles.flatMap(({ flips }) => flips)) {
        if (to === null) continue;
        flipped += 1;
        if (input === 'cachedTokens') assert.ok(to >= 0 && to <= promptTokens);
        if (input === 'kvUsage') assert.ok(to >= 0 && to <= 1);
        const name = decision.candidates[candidate]!.endpoint;
        const at = (value: number): string | null => pickOf(changed(rows, name, input, value, promptTokens));
        assert.equal(at(to), decision.candidates[picks!]?.endpoint ?? null);
        assert.notEqual(at(to), pickedName(decision), `${policy.name}: ${name} ${input} ${from} -> ${to}`);
        const perUnit = unit === 'seconds' || unit === 'share' ? 1000 : 1;
        const up = to > (from || 0) || Number.isNaN(from);
        const closer = (Math.round(to * perUnit) + (up ? -1 : 1)) / perUnit;
        const before = up ? Math.max(closer, from || 0) : Math.min(closer, from);
        if (!(Number.isNaN(from) && to === 0)) assert.equal(at(before), pickedName(decision));
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(flipped > 100, `${flipped} flips tried`);
});

/** Two passes, in seconds: prefill and decode of one request, always apart or where that is thought to be sooner. */
function splitPolicy(decider: string): Policy {
  const pass = (name: string) => ({
    name,
    plugins: [
      'queued-prefill-cost',
      'own-prefill-cost',
      'delay-to-others-cost',
      'min-cost-picker',
      `${name}-filter`,
    ].map((pluginRef) => ({ pluginRef })),
  });
  const types = ['queued-prefill-cost', 'own-prefill-cost', 'delay-to-others-cost', 'min-cost-picker'];
  const config = {
    apiVersion: 'llm-d.ai/v1alpha1' as const,
    kind: 'EndpointPickerConfig' as const,
    plugins: [
      { type: 'disagg-profile-handler', parameters: { deciders: { prefill: decider } } },
      ...[decider, ...types, 'decode-filter', 'prefill-filter'].map((type) => ({ type })),
    ],
    schedulingProfiles: [pass('decode'), pass('prefill')],
  };
  return policyFromConfig(config, decider);
}

test('of a split request each pass has its own flips, and they are true of that pass', () => {
  const flipped = new Map<string, number>();
  const split = fc.constantFrom(splitPolicy('always-disagg-pd-decider'), splitPolicy('cost-based-pd-decider'));
  fc.assert(
    fc.property(split, fleets, requests, fc.nat(), (policy, anyRows, request, seed) => {
      const { promptTokens = 0 } = request;
      const rows = consistent(anyRows, promptTokens);
      const decided = (from: Row[]): Decision => decide(policy, requestOf(request), viewOf(from), seed);
      const decision = decided(rows);
      /** What a pass picks; undefined where it does not run. */
      const pickOf = (from: Row[], pass: string): string | undefined => {
        const again = decided(from);
        const record = again.profiles.find(({ name }) => name === pass);
        return record === undefined ? undefined : again.candidates[record.picker.picked[0] ?? -1]?.endpoint;
      };
      for (const { profile, picked, flips } of flipsOf(decision, policy).profiles) {
        const was = decision.candidates[picked]!.endpoint;
        assert.equal(pickOf(rows, profile), was);
        for (const { candidate, input, unit, from, to } of flips) {
          if (to === null) continue;
          flipped.set(profile, (flipped.get(profile) ?? 0) + 1);
          const { endpoint } = decision.candidates[candidate]!;
          const at = (value: number) => pickOf(changed(rows, endpoint, input, value, promptTokens), profile);
          assert.notEqual(at(to), was, `${profile}: ${endpoint} ${input} ${from} -> ${to}`);
          const perUnit = unit === 'seconds' || unit === 'share' ? 1000 : 1;
          const up = to > (from || 0) || Number.isNaN(from);
          const closer = (Math.round(to * perUnit) + (up ? -1 : 1)) / perUnit;
          const before = up ? Math.max(closer, from || 0) : Math.min(closer, from);
          if (!(Number.isNaN(from) && to === 0)) assert.equal(at(before), was);
        }
      }
    }),
    { numRuns: 300 },
  );
  for (const pass of ['decode', 'prefill']) assert.ok((flipped.get(pass) ?? 0) > 50, `${flipped.get(pass)} of ${pass}`);
});

test('the walkthrough: how many requests a prefix is worth, and how few cached tokens would lose it', () => {
  const rows = [
    { name: 'a', cachedTokens: 32, inFlight: 1 },
    { name: 'b', inFlight: 3 },
  ];
  const decision = decide(share, requestOf(), viewOf(rows), 1);
  const [decode] = flipsOf(decision, share).profiles;
  assert.deepEqual([decode!.profile, decode!.picked, decode!.runnerUp], ['decode', 0, 1]);
  const found = new Map(decode!.flips.map(({ candidate, input, to }) => [`${'ab'[candidate]!} ${input}`, to]));
  // With n requests at a: 2·(32/96)·(1 − (n−3)/128) + 0.5·(1 − n/128) falls to b's 0.5·(1 − 3/128) at n = 76.1.
  assert.equal(found.get('a inFlight'), 77);
  // Without any it has two requests less, which is enough.
  assert.equal(found.get('a cachedTokens'), null);
  assert.equal(found.get('b inFlight'), null);
  assert.equal(found.get('a othersInFlight'), undefined, 'with no fresh gauge nobody looks at it');
  const sizes = decode!.flips.map(({ size }) => size ?? Infinity);
  assert.deepEqual(
    sizes,
    [...sizes].sort((x, y) => x - y),
  );
});

test('a profile that looks at nothing names no number; nobody picked has nothing to change', () => {
  const unscored = policyFromConfig({ ...shareTestConfig, ...unscoredTestConfig }, 'no scorers');
  const view = viewOf([{ name: 'a' }, { name: 'b' }]);
  assert.deepEqual(flipsOf(decide(unscored, requestOf(), view, 1), unscored).profiles[0]!.flips, []);
  const nobody = decide(share, requestOf(), viewOf([]), 1);
  assert.deepEqual(flipsOf(nobody, share), { unknown: null, profiles: [] });
});

test('what cannot be decided again is not known, and why', () => {
  const view = viewOf([{ name: 'a' }, { name: 'b' }]);
  const unknownOf = (name: string, of = name): string | null => {
    const policy = presetPolicy(of);
    return flipsOf(decide(presetPolicy(name), requestOf(), view, 1), policy).unknown;
  };
  assert.match(unknownOf('round-robin')!, /remembers earlier requests/);
  assert.match(unknownOf('chwbl')!, /hashes the prompt/);
  assert.match(unknownOf('random', 'lmetric')!, /replaced/);
});

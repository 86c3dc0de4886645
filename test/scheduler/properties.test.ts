import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { newStates } from '../../src/scheduler/policy.ts';
import { rerun } from '../../src/scheduler/rerun.ts';
import { schedule } from '../../src/scheduler/schedule.ts';
import { decide, pickedName, requestOf, viewOf } from '../support/scheduling.ts';
import { unscoredTestConfig, fleets, requests, shareTestConfig } from './arbitraries.ts';

const policies = [
  policyFromConfig(shareTestConfig, 'share'),
  policyFromConfig({ ...shareTestConfig, ...unscoredTestConfig }, 'no scorers'),
];
const anyPolicy = fc.constantFrom(...policies);

test('the pick is an eligible endpoint that no filter dropped, and there is one whenever there can be', () => {
  fc.assert(
    fc.property(anyPolicy, fleets, requests, fc.nat(), (policy, rows, request, seed) => {
      const picked = pickedName(decide(policy, requestOf(request), viewOf(rows), seed));
      const allowed = rows.filter((row) => row.eligible !== false && row.role !== 'prefill').map(({ name }) => name);
      if (allowed.length === 0) assert.equal(picked, null);
      else assert.ok(picked !== null && allowed.includes(picked), `${picked} is not of ${allowed.join()}`);
    }),
  );
});

test('the same seed gives the same Decision', () => {
  fc.assert(
    fc.property(anyPolicy, fleets, requests, fc.nat(), (policy, rows, request, seed) => {
      const once = (): unknown => decide(policy, requestOf(request), viewOf(rows), seed);
      assert.deepEqual(once(), once());
    }),
  );
});

test('a Decision run again from its own inputs gives its pick', () => {
  fc.assert(
    fc.property(anyPolicy, fleets, requests, fc.nat(), (policy, rows, request, seed) => {
      const decision = decide(policy, requestOf(request), viewOf(rows), seed);
      assert.equal(rerun(decision, policy), pickedName(decision));
    }),
  );
});

test('the order of endpoints changes neither scores nor, without a tie, the pick', () => {
  fc.assert(
    fc.property(fleets, requests, fc.nat(), (rows, request, seed) => {
      const policy = policies[0]!;
      const totalsOf = (order: typeof rows): { totals: Map<string, number>; tied: number; picked: string | null } => {
        const decision = decide(policy, requestOf(request), viewOf(order), seed);
        const profile = decision.profiles[0]!;
        const names = Array.from(profile.scored, (index) => decision.candidates[index]!.endpoint);
        return {
          totals: new Map(names.map((name, i) => [name, profile.totals[i]!])),
          tied: profile.picker.tied.length,
          picked: pickedName(decision),
        };
      };
      const forward = totalsOf(rows);
      const backward = totalsOf([...rows].reverse());
      assert.deepEqual(new Map([...backward.totals].sort()), new Map([...forward.totals].sort()));
      if (forward.tied <= 1) assert.equal(backward.picked, forward.picked);
    }),
  );
});

test('a tie is spread over all that share it, by the seed', () => {
  const view = viewOf(['a', 'b', 'c'].map((name) => ({ name })));
  const counts = new Map<string | null, number>();
  for (let seed = 0; seed < 300; seed++) {
    const name = pickedName(decide(policies[0]!, requestOf(), view, seed));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), ['a', 'b', 'c']);
  for (const count of counts.values()) assert.ok(count > 60, `${count} of 300`);
});

test('a burst that is counted at the pick spreads, whatever the gauges still say', () => {
  const policy = policies[0]!;
  const rows = ['a', 'b', 'c', 'd'].map((name) => ({ name, inFlight: 0, waiting: 0, running: 0, ageMs: 40 }));
  const view = viewOf(rows);
  for (let request = 0; request < 40; request++) {
    const { picked } = schedule(policy, newStates(policy), requestOf({ promptTokens: 0 }), view, request);
    view.inFlight[picked[0]!]! += 1;
  }
  assert.deepEqual([...view.inFlight], [10, 10, 10, 10]);
});

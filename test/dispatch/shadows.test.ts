import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import type { Flight } from '../../src/dispatch/flight.ts';
import type { ShadowOptions } from '../../src/dispatch/shadows.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { prefixKeyOf } from '../../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../../src/journal/journal.ts';
import type { Decision } from '../../src/scheduler/decision.ts';
import { presetNames, presetPolicy } from '../../src/scheduler/presets.ts';
import { rerun } from '../../src/scheduler/rerun.ts';
import { requestOf } from '../support/scheduling.ts';

/** Time that passes only by being asked for: a microsecond each time, so that work takes time as it does. */
function costlyClock(): Clock & { tick(ms: number): void } {
  let nowMs = 0;
  return {
    nowMs: () => (nowMs += 0.001),
    epochMs: () => nowMs,
    after: () => ({ cancel: () => undefined }),
    tick: (ms) => (nowMs += ms),
  };
}

function system(live: string, shadows: readonly string[], isBusy: ShadowOptions['isBusy'] = () => false) {
  const clock = costlyClock();
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  for (const name of ['a', 'b', 'c']) {
    fleet.setModels(fleet.add({ name, address: `${name}:1`, labels: {} }), [{ id: 'm' }]);
  }
  const dispatch = new Dispatch({
    clock,
    random: seededRandom(7),
    fleet,
    journal: new Journal(),
    policy: { ...presetPolicy(live), hold: null },
    shadows: { policies: shadows.map(presetPolicy), isBusy },
  });
  /** Sends one and answers those that have been on their way for so long. */
  const open: Flight[] = [];
  const send = (prompt: string, inFlight = 3): Decision => {
    const bytes = Buffer.from(prompt.repeat(200));
    const key = prefixKeyOf({ model: 'm', cacheSalt: null, bytes }, fleet.prefixSeed);
    dispatch.place(requestOf({ model: 'm', promptTokens: bytes.length / 4, streaming: true }), key, {
      placed: (flight) => open.push(flight),
      refused: (error) => assert.fail(error.message),
    });
    clock.tick(5);
    const { decision } = open.at(-1)!;
    while (open.length > inFlight) {
      const flight = open.shift()!;
      flight.firstToken(200);
      const { promptTokens } = flight.decision;
      flight.finish({ status: 200, complete: true, promptTokens, cachedTokens: 0, completionTokens: 3 });
    }
    return decision;
  };
  return { dispatch, send };
}

test('with any shadows the live policy picks as it does without', () => {
  const prompts = fc.array(fc.constantFrom('ab', 'cd', 'ef'), { minLength: 20, maxLength: 60 });
  fc.assert(
    fc.property(
      fc.constantFrom(...presetNames),
      fc.subarray([...presetNames], { minLength: 1, maxLength: 4 }),
      prompts,
      (live, shadows, sent) => {
        const picksOf = (compared: readonly string[]): number[] => {
          const { send, dispatch } = system(live, compared);
          // What shadows cost is time in which other work could be done; that it passes is not their doing here.
          dispatch.clock.nowMs = () => 0;
          return sent.map((prompt) => send(prompt).picked);
        };
        assert.deepEqual(picksOf(shadows), picksOf([]));
      },
    ),
    { numRuns: 60 },
  );
});

test('all together stay under a tenth of the time that deciding takes, and each gets its turn', () => {
  const shadows = ['random', 'round-robin', 'dynamo', 'preble', 'llm-d-legacy'];
  const { dispatch, send } = system('least-added-wait', shadows);
  for (let i = 0; i < 2000; i++) {
    send(i % 3 === 0 ? 'ab' : `${i}`);
    const last = 0.01 / Math.max(1, i);
    assert.ok((dispatch.shadows.share ?? 0) <= 0.1 + last, `${dispatch.shadows.share} after ${i + 1}`);
  }
  for (const { tally, policy } of dispatch.shadows.all) {
    assert.ok(tally.compared > 10, `${policy.name} was asked ${tally.compared} times`);
    assert.equal(tally.compared + tally.skipped.overShare + tally.skipped.busy, 2000);
    assert.equal(tally.skipped.busy, 0);
  }
});

test('a busy process asks none', () => {
  let isBusy = true;
  const { dispatch, send } = system('least-added-wait', ['random'], () => isBusy);
  for (let i = 0; i < 100; i++) send('ab');
  const [{ tally } = assert.fail()] = dispatch.shadows.all;
  assert.equal(tally.compared, 0);
  assert.ok(tally.skipped.busy > 0);
  isBusy = false;
  for (let i = 0; i < 100; i++) send('ab');
  assert.ok(tally.compared > 0);
});

test('what a shadow says is what it would decide on what the Decision recorded; the tally adds that up', () => {
  const shadow = presetPolicy('least-requests');
  const { dispatch, send } = system('llm-d-legacy', ['least-requests']);
  const decisions = Array.from({ length: 600 }, (_, i) => send(i % 4 === 0 ? 'ab' : `${i % 50}`, 5));
  const compared = decisions.filter((decision) => decision.shadow.length > 0);
  assert.ok(compared.length > 20);
  for (const decision of compared) {
    const [pick] = decision.shadow;
    assert.equal(pick!.picked, rerun(decision, shadow));
    const at = decision.candidates.findIndex(({ endpoint }) => endpoint === pick!.picked);
    const expected = decision.inputs.queuedPrefillSeconds[at]! + decision.inputs.prefillSeconds[at]!;
    if (!Number.isNaN(pick!.ttftSeconds)) assert.ok(Math.abs(pick!.ttftSeconds - expected) < 1e-9);
    assert.equal(pick!.cachedTokens, decision.inputs.cachedTokens[at]);
  }
  const [{ tally } = assert.fail()] = dispatch.shadows.all;
  assert.equal(tally.compared, compared.length);
  const agreed = compared.filter((one) => one.shadow[0]!.picked === one.candidates[one.picked]!.endpoint);
  assert.equal(tally.agreed, agreed.length);
  assert.ok(tally.agreed < tally.compared, 'they differ now and then');
  assert.ok(tally.disagreements.length > 0 && tally.disagreements.length <= 20);
  const apart = tally.disagreements.map((one) => one.apart);
  assert.deepEqual(
    apart,
    apart.toSorted((x, y) => y - x),
  );
  const picks = [...tally.picks.values()];
  const sum = (who: 'live' | 'shadow'): number => picks.reduce((total, count) => total + count[who], 0);
  assert.deepEqual([sum('live'), sum('shadow')], [tally.compared, tally.compared]);
});

test('a shadow remembers for itself: round robin goes round, whatever the live one does', () => {
  const { send } = system('llm-d-legacy', ['round-robin']);
  const decisions = Array.from({ length: 400 }, () => send('ab'));
  const picks = decisions.flatMap(({ shadow }) => shadow.map(({ picked }) => picked));
  assert.ok(picks.length > 10);
  for (const [i, pick] of picks.entries()) assert.equal(pick, picks[i % 3]);
  assert.equal(new Set(picks.slice(0, 3)).size, 3);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import type { Flight } from '../../src/dispatch/flight.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { noPrefix } from '../../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../../src/journal/journal.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { defaultHoldRule } from '../../src/scheduler/flow-control.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { requestOf } from '../support/scheduling.ts';

/** A dispatch over `endpoints` idle endpoints that holds; what is placed is remembered. */
function holding(endpoints: number, maxHeld = 100) {
  const clock = new VirtualClock();
  const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
  for (let i = 0; i < endpoints; i++) {
    fleet.setModels(fleet.add({ name: `e${i}`, address: `127.0.0.1:${8000 + i}`, labels: {} }), [{ id: 'm' }]);
  }
  const policy = {
    ...presetPolicy('least-added-wait'),
    hold: { ...defaultHoldRule, maxPrefillBacklogSeconds: 1, prefillWeight: 5, maxRequests: maxHeld },
  };
  const journal = new Journal(1024 * 1024);
  const dispatch = new Dispatch({ clock, random: seededRandom(1), fleet, journal, policy });
  const placed: { id: string; flight: Flight }[] = [];
  const refused: string[] = [];
  const ask = (id: string, promptTokens: number, streaming = true) =>
    dispatch.place(requestOf({ requestId: id, model: 'm', promptTokens, streaming }), noPrefix, {
      placed: (flight) => placed.push({ id, flight }),
      refused: (error) => refused.push(error.code),
    });
  const ids = (): string => placed.map(({ id }) => id).join(' ');
  const end = (id: string): void => {
    const { flight } = placed.find((each) => each.id === id)!;
    flight.firstToken(200);
    flight.finish({ status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens: null });
  };
  return { clock, dispatch, ask, placed, refused, ids, end };
}

test('with room nothing is held; a backlog over the bound holds, the first token lets go', () => {
  const { clock, dispatch, ask, ids, end, placed } = holding(1);
  ask('a', 20_000);
  ask('b', 1000);
  assert.equal(ids(), 'a');
  assert.equal(dispatch.held, 1);
  clock.run(() => clock.nowMs() < 300);
  end('a');
  assert.equal(ids(), 'a b');
  assert.equal(placed[0]!.flight.decision.admission.queuedSeconds, 0);
  const { queuedSeconds } = placed[1]!.flight.decision.admission;
  assert.ok(queuedSeconds >= 0.3, `${queuedSeconds}`);
});

test('short ones go before long ones; an idle endpoint takes one at once', () => {
  const { ask, ids, end } = holding(2);
  ask('a', 20_000);
  ask('b', 20_000);
  ask('long', 30_000);
  ask('short', 500);
  assert.equal(ids(), 'a b');
  end('a');
  assert.equal(ids().split(' ')[2], 'short');
});

test('who leaves while held is never placed', () => {
  const { dispatch, ask, ids, end } = holding(1);
  ask('a', 20_000);
  ask('gone', 1000).cancel();
  assert.equal(dispatch.held, 0);
  end('a');
  assert.equal(ids(), 'a');
});

test('when too many are held, the next is told to come back', () => {
  const { ask, refused } = holding(1, 2);
  ask('a', 20_000);
  for (const id of ['b', 'c', 'd']) ask(id, 1000);
  assert.deepEqual(refused, ['saturated']);
});

test('a backlog of answers that do not stream drains by time alone', () => {
  const { clock, ask, ids } = holding(1);
  ask('a', 20_000, false);
  ask('b', 1000, false);
  assert.equal(ids(), 'a');
  clock.run(() => ids() === 'a');
  assert.equal(ids(), 'a b');
});

test('a policy without holding lets everyone through', () => {
  const { dispatch, ask, ids } = holding(1);
  ask('a', 20_000);
  ask('b', 1000);
  const plugins = [{ type: 'random-picker' }];
  const schedulingProfiles = [{ name: 'default', plugins: [{ pluginRef: 'random-picker' }] }];
  const config = {
    apiVersion: 'llm-d.ai/v1alpha1',
    kind: 'EndpointPickerConfig',
    plugins,
    schedulingProfiles,
  } as const;
  dispatch.setPolicy(
    policyFromConfig({ ...config, plugins: [...plugins], schedulingProfiles: [...schedulingProfiles] }, 'r'),
  );
  assert.equal(ids(), 'a b');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SignalboxError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import type { Flight } from '../../src/dispatch/flight.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { noPrefix } from '../../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../../src/journal/journal.ts';
import type { Decision } from '../../src/scheduler/decision.ts';
import { defaultHoldRule } from '../../src/scheduler/flow-control.ts';
import type { HoldRule } from '../../src/scheduler/flow-rule.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { anyCaller, type Caller } from '../../src/scheduler/request.ts';
import { requestOf } from '../support/scheduling.ts';

/** A dispatch over one endpoint. `full` gives it a prompt that keeps it busy for seconds. */
function flow({
  preset = 'least-requests',
  endpoints = 1,
  ...rule
}: Partial<HoldRule> & { preset?: string; endpoints?: number } = {}) {
  const clock = new VirtualClock();
  const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
  const addEndpoint = (): void =>
    fleet.setModels(fleet.add({ name: 'e', address: '127.0.0.1:1', labels: {} }), [{ id: 'm' }]);
  for (let i = 0; i < endpoints; i++) addEndpoint();
  const policy = { ...presetPolicy(preset), hold: { ...defaultHoldRule, ...rule } };
  const dispatch = new Dispatch({ clock, random: seededRandom(1), fleet, journal: new Journal(1 << 20), policy });
  const flights = new Map<string, Flight>();
  const refused = new Map<string, { error: SignalboxError; decision: Decision | null }>();
  const ask = (id: string, caller: Partial<Caller> = {}, promptTokens = 1000) => {
    const request = requestOf({ requestId: id, model: 'm', promptTokens, streaming: true });
    return dispatch.place({ ...request, caller: { ...anyCaller, ...caller } }, noPrefix, {
      placed: (flight) => flights.set(id, flight),
      refused: (error, decision) => refused.set(id, { error, decision }),
    });
  };
  const full = () => ask('full', {}, 40_000);
  const end = (id: string, completionTokens = 10): void => {
    flights.get(id)!.firstToken(200);
    flights.get(id)!.finish({ status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens });
  };
  const placed = (): string => [...flights.keys()].filter((id) => id !== 'full').join(' ');
  return { clock, dispatch, fleet, addEndpoint, ask, full, end, placed, refused };
}

test('with room everybody is placed at once; full is where no endpoint promises the first token in time', () => {
  const { ask, full, end, placed, dispatch } = flow();
  ask('a');
  ask('b');
  full();
  ask('c');
  assert.equal(placed(), 'a b');
  assert.equal(dispatch.held, 1);
  for (const id of ['a', 'b', 'full']) end(id);
  assert.equal(placed(), 'a b c');
});

test('a long prompt goes to an endpoint with little to do, however late its first token will be', () => {
  const { ask, placed } = flow();
  ask('long', {}, 100_000);
  assert.equal(placed(), 'long');
});

test('higher priority goes first, whoever came first', () => {
  const { ask, full, end, placed } = flow();
  full();
  ask('low', { priority: -1 });
  ask('normal');
  ask('high', { priority: 9 });
  end('full');
  assert.equal(placed(), 'high normal low');
});

test('what cannot be met is said at once, with when to come back; what can be met waits', () => {
  const { ask, full, refused, placed, dispatch } = flow();
  full();
  for (let i = 0; i < 20; i++) ask(`waits ${i}`, {}, 20_000);
  ask('hurried', { ttftTargetSeconds: 1 });
  ask('first all the same', { ttftTargetSeconds: 15, priority: 1 });
  assert.deepEqual([...refused.keys()], ['hurried']);
  const { error, decision } = refused.get('hurried')!;
  assert.equal(error.code, 'saturated');
  assert.match(error.message, /^The first token was wanted within 1 s and would come after about \d+\.\d s\.$/);
  assert.ok(error.retryAfterSeconds! >= 1);
  assert.equal(decision!.admission.verdict, 'rejected');
  assert.equal(decision!.reason, error.message);
  assert.equal(decision!.outcome!.status, 429);
  assert.equal(placed(), 'first all the same', 'ahead of those who wait, and in time behind what is queued');
  assert.equal(dispatch.held, 20);
});

test('a target that others of a higher priority made it miss is said while it waits', () => {
  const { clock, ask, full, refused, placed } = flow({ preset: 'least-added-wait', maxPrefillBacklogSeconds: 1 });
  full();
  ask('hurried', { ttftTargetSeconds: 12 });
  assert.equal(refused.size, 0);
  ask('goes first', { priority: 1 }, 40_000);
  clock.run(() => refused.size === 0);
  assert.deepEqual([...refused.keys()], ['hurried']);
  assert.ok(clock.nowMs() < 13_000);
  assert.equal(placed(), 'goes first');
});

test('who has waited for as long as it may is told so', () => {
  const { clock, ask, full, refused, dispatch } = flow({
    defaultBand: { maxRequests: 10, maxBytes: 1000, ttlSeconds: 2 },
  });
  full();
  ask('a');
  clock.run(() => clock.nowMs() < 3000 && refused.size === 0);
  assert.match(refused.get('a')!.error.message, /busy for the 2 s/);
  assert.equal(refused.get('a')!.decision!.admission.queuedSeconds >= 2, true);
  assert.equal(dispatch.held, 0);
});

test('with the queue full, a higher priority takes the room of a lower one', () => {
  const { ask, full, refused } = flow({ maxRequests: 1 });
  full();
  ask('low');
  ask('another');
  ask('high', { priority: 1 });
  assert.match(refused.get('another')!.error.message, /1 requests wait already/);
  assert.match(refused.get('low')!.error.message, /higher priority/);
});

test('two tenants, one with ten times the demand, are served alike while both wait', () => {
  const { ask, full, end, placed } = flow({ quantumTokens: 2000 });
  full();
  for (let i = 0; i < 40; i++) ask(`many-${i}`, { fairnessId: 'many' }, 9000);
  for (let i = 0; i < 4; i++) ask(`few-${i}`, { fairnessId: 'few' }, 9000);
  end('full');
  for (let i = 0; i < 7; i++) end(placed().split(' ').at(-1)!);
  const few = placed()
    .split(' ')
    .filter((id) => id.startsWith('few')).length;
  assert.equal(few, 4, placed());
});

test('a pool scaled to nothing keeps its first requests until an endpoint has come, within a bound', () => {
  const { clock, dispatch, addEndpoint, ask, placed, refused } = flow({ endpoints: 0, scaleFromZeroSeconds: 30 });
  ask('a');
  assert.equal(dispatch.held, 1);
  addEndpoint();
  clock.run(() => placed() === '');
  assert.equal(placed(), 'a');

  const empty = flow({ endpoints: 0, scaleFromZeroSeconds: 30 });
  empty.ask('a');
  empty.clock.run(() => empty.refused.size === 0);
  assert.ok(empty.clock.nowMs() >= 30_000);
  assert.equal(empty.refused.get('a')!.error.code, 'no_endpoint');
  assert.equal(refused.size, 0);
});

test('an endpoint that is on its way is waited for; one that does not answer is not', () => {
  const { clock, fleet, ask, placed, refused } = flow({ endpoints: 0, scaleFromZeroSeconds: 30 });
  const slot = fleet.add({ name: 'e', address: '127.0.0.1:1', labels: {} });
  ask('early');
  assert.equal(refused.size, 0);
  fleet.setModels(slot, [{ id: 'm' }]);
  clock.run(() => placed() === '');
  assert.equal(placed(), 'early');
  fleet.setModels(slot, null);
  ask('late');
  assert.equal(refused.get('late')!.error.code, 'no_endpoint');
});

test('held by the backlog of the endpoint picked, where the policy counts in seconds', () => {
  const { ask, full, placed } = flow({ preset: 'least-added-wait', maxPrefillBacklogSeconds: 1 });
  full();
  ask('a');
  assert.equal(placed(), '');
});

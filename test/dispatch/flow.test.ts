import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import type { SignalboxError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import type { Flight } from '../../src/dispatch/flight.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { noPrefix } from '../../src/fleet/prefix-index/prefix-key.ts';
import { decisionJson } from '../../src/journal/decision-json.ts';
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
  takesBack = false,
  ...rule
}: Partial<HoldRule> & { preset?: string; endpoints?: number; takesBack?: boolean } = {}) {
  const clock = new VirtualClock();
  const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
  const addEndpoint = (): void =>
    fleet.setModels(fleet.add({ name: 'e', address: '127.0.0.1:1', labels: {} }), [{ id: 'm' }]);
  for (let i = 0; i < endpoints; i++) addEndpoint();
  const policy = { ...presetPolicy(preset), hold: { ...defaultHoldRule, ...rule } };
  const dispatch = new Dispatch({ clock, random: seededRandom(1), fleet, journal: new Journal(1 << 20), policy });
  const flights = new Map<string, Flight>();
  const refused = new Map<string, { error: SignalboxError; decision: Decision | null }>();
  const takenBack: string[] = [];
  const ask = (id: string, caller: Partial<Caller> = {}, promptTokens = 1000) => {
    const request = requestOf({ requestId: id, model: 'm', promptTokens, streaming: true });
    return dispatch.place({ ...request, caller: { ...anyCaller, ...caller } }, noPrefix, {
      placed: (flight) => flights.set(id, flight),
      refused: (error, decision) => refused.set(id, { error, decision }),
      takeBack: () => {
        if (!takesBack || answering.has(id)) return false;
        takenBack.push(id);
        flights.delete(id);
        return true;
      },
    });
  };
  const full = () => ask('full', {}, 40_000);
  const answering = new Set<string>();
  const begin = (id: string): void => {
    answering.add(id);
    flights.get(id)!.firstToken(200);
  };
  const end = (id: string, completionTokens = 10): void => {
    flights.get(id)!.firstToken(200);
    flights.get(id)!.finish({ status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens });
  };
  const placed = (): string => [...flights.keys()].filter((id) => id !== 'full').join(' ');
  return { clock, dispatch, fleet, flights, answering, addEndpoint, ask, full, begin, end, placed, refused, takenBack };
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

test('who waits for decoding to become faster goes while its first token can still be in time', () => {
  const { clock, answering, ask, begin, refused, placed, dispatch } = flow();
  ask('decodes', {}, 10_000);
  clock.after(1600, () => begin('decodes'));
  clock.run(() => answering.size === 0);
  const askedAtMs = clock.nowMs();
  ask('hurried', { ttftTargetSeconds: 3, tpotTargetSeconds: 0.02 });
  assert.equal(dispatch.heldRequests(1)[0]!.waitsFor!.what, 'decode');
  clock.run(() => dispatch.held > 0);
  assert.equal(placed(), 'decodes hurried');
  assert.equal(refused.size, 0);
  const waitedMs = clock.nowMs() - askedAtMs;
  assert.ok(waitedMs > 2000 && waitedMs < 3000, `${waitedMs}`);
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

const byBacklog = { preset: 'least-added-wait', maxPrefillBacklogSeconds: 1, takesBack: true } as const;

test('what was sent and not answered is taken back for a higher priority, and goes when its turn comes again', () => {
  const { ask, full, end, placed, takenBack, flights, dispatch } = flow(byBacklog);
  full();
  ask('urgent', { priority: 5 }, 20_000);
  assert.deepEqual(takenBack, ['full']);
  assert.equal(placed(), 'urgent');
  assert.equal(dispatch.held, 1);
  assert.equal(dispatch.arrivals.takenBack, 1);
  end('urgent');
  const { decision } = flights.get('full')!;
  end('full');
  assert.deepEqual(
    decision.attempts.map(({ reason }) => reason),
    ['taken back for a higher priority', 'answered'],
  );
  assert.equal(decision.outcome!.status, 200);
  assert.equal(dispatch.fleet.ledger.total, 0);
});

test('nothing is taken back that has begun to answer, is of the same priority, or leaves room all the same', () => {
  const begun = flow(byBacklog);
  begun.full();
  begun.clock.after(3000, () => begun.begin('full'));
  begun.clock.run(() => begun.clock.nowMs() < 3000);
  begun.ask('behind', {}, 40_000);
  begun.ask('urgent', { priority: 5 });
  assert.deepEqual(begun.takenBack, ['behind'], 'only the one that has not begun');
  const same = flow(byBacklog);
  same.full();
  same.ask('same');
  assert.deepEqual(same.takenBack, []);
  const room = flow(byBacklog);
  room.ask('short', {}, 500);
  room.ask('urgent', { priority: 5 });
  assert.deepEqual(room.takenBack, []);
});

test('one that was taken back can still leave, or be turned away, and is counted nowhere then', () => {
  const leaves = flow(byBacklog);
  const ticket = leaves.full();
  const flight = leaves.flights.get('full')!;
  leaves.ask('urgent', { priority: 5 }, 20_000);
  assert.deepEqual(ticket.ahead()?.requests, 0);
  assert.equal(ticket.cancel(), true);
  assert.equal(ticket.cancel(), false);
  assert.equal(flight.decision.outcome!.status, 499);
  leaves.end('urgent');
  assert.equal(leaves.dispatch.fleet.ledger.total, 0);
  assert.equal(leaves.dispatch.held, 0);

  const expires = flow({ ...byBacklog, defaultBand: { maxRequests: 10, maxBytes: 1000, ttlSeconds: 2 } });
  expires.full();
  expires.ask('urgent', { priority: 5 }, 90_000);
  expires.clock.run(() => expires.clock.nowMs() < 4000 && expires.refused.size === 0);
  const { error, decision } = expires.refused.get('full')!;
  assert.match(error.message, /busy for the 2 s/);
  assert.equal(decision!.outcome!.status, 429);
  assert.equal(expires.dispatch.arrivals.shed.get('expired'), 1);
});

test('nobody is taken back for ever', () => {
  const { ask, full, end, takenBack, placed } = flow(byBacklog);
  full();
  for (let i = 0; i < 4; i++) {
    ask(`urgent ${i}`, { priority: 5 }, 500);
    if (placed().includes(`urgent ${i}`)) end(`urgent ${i}`);
  }
  assert.deepEqual(takenBack, ['full', 'full']);
});

test('where KV caches have no room requests wait, the longest not for ever; who is above finds the room kept for it', () => {
  const { ask, end, placed, fleet, dispatch } = flow({
    ...byBacklog,
    maxPrefillBacklogSeconds: 1000,
    order: 'first-come',
  });
  fleet.setGauges(0, { waiting: 0, running: 0, kvUsage: NaN, kvCapacityTokens: 100_000 }, 0);
  ask('a', {}, 60_000);
  ask('too long', {}, 50_000);
  ask('short', {}, 1000);
  assert.equal(placed(), 'a', 'room gathers for the one that came first');
  assert.equal(dispatch.heldRequests(1)[0]!.waitsFor!.what, 'kv-cache');
  end('a');
  assert.equal(placed(), 'a too long short');
  ask('above', { priority: 1 }, 10_000);
  ask('below', {}, 26_000);
  assert.equal(placed(), 'a too long short above', '10,000 are left free for the next one above');
  ask('above again', { priority: 1 }, 20_000);
  assert.equal(placed(), 'a too long short above above again');
});

test('with no endpoint there, how long it will take is not known, and is said so', () => {
  const { ask, flights, addEndpoint, clock } = flow({ endpoints: 0 });
  const ticket = ask('a');
  assert.ok(Number.isNaN(ticket.ahead()!.seconds));
  addEndpoint();
  clock.run(() => !flights.has('a'));
  assert.ok(Number.isNaN(flights.get('a')!.decision.admission.ahead!.seconds));
  assert.equal(decisionJson(flights.get('a')!.decision).admission.ahead!.seconds, null);
});

const move = fc.oneof(
  fc.record({
    do: fc.constant('ask' as const),
    priority: fc.integer({ min: -1, max: 2 }),
    fairnessId: fc.constantFrom('a', 'b'),
    ttftTargetSeconds: fc.constantFrom(null, null, 1, 20),
    promptTokens: fc.integer({ min: 100, max: 40_000 }),
  }),
  fc.record({
    do: fc.constantFrom('begin' as const, 'end' as const, 'fail' as const, 'leave' as const, 'wait' as const),
    which: fc.nat(),
  }),
);

test('each request leaves exactly one way, whatever is taken back, fails or leaves at whatever moment', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), fc.boolean(), (moves, slow) => {
      const { clock, dispatch, ask, flights, refused, begin, answering, fleet } = flow({
        ...byBacklog,
        maxRequests: 8,
        defaultBand: { maxRequests: 6, maxBytes: 1000, ttlSeconds: slow ? 5 : 60 },
      });
      fleet.setGauges(0, { waiting: 0, running: 0, kvUsage: NaN, kvCapacityTokens: 90_000 }, 0);
      const tickets = new Map<string, ReturnType<typeof ask>>();
      const ways = new Map<string, number>();
      const gone = (id: string): void => void ways.set(id, (ways.get(id) ?? 0) + 1);
      const finish = (id: string, status: number, complete: boolean): void => {
        const flight = flights.get(id)!;
        flights.delete(id);
        answering.delete(id);
        gone(id);
        flight.finish({ status, complete, promptTokens: null, cachedTokens: null, completionTokens: 5 });
      };
      for (const [at, each] of moves.entries()) {
        const open = [...flights.keys()];
        const chosen = each.do === 'ask' || open.length === 0 ? undefined : open[each.which % open.length]!;
        if (each.do === 'ask') tickets.set(`${at}`, ask(`${at}`, each, each.promptTokens));
        else if (each.do === 'wait') clock.run(() => clock.nowMs() < at * 700 && dispatch.held > 0);
        else if (each.do === 'leave') {
          for (const [id, ticket] of tickets) if (Number(id) % 3 === each.which % 3 && ticket.cancel()) gone(id);
        } else if (chosen === undefined) continue;
        else if (each.do === 'begin' && !answering.has(chosen)) begin(chosen);
        else if (each.do === 'end') {
          if (!answering.has(chosen)) begin(chosen);
          finish(chosen, 200, true);
        } else if (each.do === 'fail') finish(chosen, 502, false);
      }
      for (let left = 1; flights.size > 0 || dispatch.held > 0; left++) {
        const [id] = flights.keys();
        if (id !== undefined) finish(id, 200, true);
        else clock.run(() => flights.size === 0 && dispatch.held > 0);
        assert.ok(left < 1000, 'some wait for ever');
      }
      for (const id of refused.keys()) gone(id);
      for (const id of tickets.keys()) assert.equal(ways.get(id), 1, `request ${id} left ${ways.get(id) ?? 0} ways`);
      assert.equal(fleet.ledger.total, 0);
    }),
    { numRuns: 200 },
  );
});

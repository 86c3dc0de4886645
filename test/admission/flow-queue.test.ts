import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlowQueue } from '../../src/admission/flow-queue.ts';
import type { Asking, Held } from '../../src/admission/held.ts';
import { defaultHoldRule } from '../../src/scheduler/flow-control.ts';
import type { FlowRule } from '../../src/scheduler/flow-rule.ts';
import { anyCaller } from '../../src/scheduler/request.ts';

function asking({ priority = 0, tenant = 'a', ...fields }: Partial<Asking> & { priority?: number; tenant?: string }) {
  const caller = { ...anyCaller, priority, fairnessId: tenant };
  const tokens = { promptTokens: 100, uncachedTokens: 100 };
  return { caller, arrivedAtMs: 0, prefillSeconds: 0, ...tokens, bytes: 0, timeoutSeconds: null, ...fields };
}

function queueOf(rule: Partial<FlowRule> = {}): FlowQueue<string> {
  return new FlowQueue({ ...defaultHoldRule, ...rule });
}

/** All that wait, in turn. */
function inTurn(queue: FlowQueue<string>): string[] {
  const pass = queue.pass();
  const items: string[] = [];
  for (let held = pass.next(); held !== undefined; held = pass.next()) items.push(held.item);
  return items;
}

/** Takes the next out and counts its service. */
function serve(queue: FlowQueue<string>): Held<string> {
  const pass = queue.pass();
  const held = pass.next()!;
  queue.remove(held);
  queue.charge(held.caller, held.uncachedTokens);
  return held;
}

test('the short one goes first, until the long one has waited prefillWeight times what it needs more', () => {
  const queue = queueOf({ prefillWeight: 5 });
  queue.add('long', asking({ prefillSeconds: 2 }));
  queue.add('short', asking({ arrivedAtMs: 1000, prefillSeconds: 0.1 }));
  queue.add('late and short', asking({ arrivedAtMs: 9600, prefillSeconds: 0.1 }));
  assert.deepEqual(inTurn(queue), ['short', 'long', 'late and short']);
  assert.deepEqual(inTurn(queue), ['short', 'long', 'late and short'], 'looking changes nothing');
});

test('by arrival, or by what was asked for, where that is configured', () => {
  const requests = [
    ['first', asking({ prefillSeconds: 9 })],
    ['hurried', { ...asking({ arrivedAtMs: 500 }), caller: { ...anyCaller, ttftTargetSeconds: 1 } }],
    ['last', asking({ arrivedAtMs: 1000 })],
  ] as const;
  const ordered = (order: FlowRule['order']): string[] => {
    const queue = queueOf({ order });
    for (const [item, each] of requests) queue.add(item, each);
    return inTurn(queue);
  };
  assert.deepEqual(ordered('first-come'), ['first', 'hurried', 'last']);
  assert.deepEqual(ordered('earliest-deadline'), ['hurried', 'first', 'last']);
});

test('higher priorities first; those below get their share all the same, negative ones do not', () => {
  const queue = queueOf({ starvationShare: 0.1 });
  for (let i = 0; i < 40; i++) queue.add(`high ${i}`, asking({ priority: 5, arrivedAtMs: i }));
  for (const [item, priority] of [
    ['low', 0],
    ['sheddable', -1],
  ] as const)
    queue.add(item, asking({ priority }));
  const served = Array.from({ length: 42 }, () => serve(queue).item);
  assert.equal(served.indexOf('low'), 10, 'after ten times its own tokens');
  assert.equal(served.indexOf('sheddable'), 41);
});

test('a tenant with ten times the demand gets no more than the other, whatever came first', () => {
  const queue = queueOf({ quantumTokens: 200 });
  for (let i = 0; i < 100; i++) queue.add(`many ${i}`, asking({ tenant: 'many', arrivedAtMs: i }));
  for (let i = 0; i < 10; i++) queue.add(`few ${i}`, asking({ tenant: 'few', arrivedAtMs: 1000 + i }));
  const served = Array.from({ length: 20 }, () => serve(queue).caller.fairnessId);
  assert.ok(Math.abs(served.filter((tenant) => tenant === 'few').length - 9) <= 1, served.join(' '));
});

test('whatever they ask for, tenants that wait are served alike to a quantum and a request, corrections included', () => {
  const most = 2000;
  const off = 500;
  const quantumTokens = 5000;
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: most }), fc.integer({ min: -off, max: off })), {
    minLength: 100,
    maxLength: 100,
  });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 2, max: 10 }), (all, demand) => {
      const queue = queueOf({ quantumTokens, order: 'first-come' });
      const served: Record<string, number> = { many: 0, few: 0 };
      for (const [at, [uncachedTokens]] of all.entries()) {
        queue.add(`${at}`, asking({ tenant: at % demand === 0 ? 'few' : 'many', arrivedAtMs: at, uncachedTokens }));
      }
      const waits = (tenant: string): boolean => queue.bands[0]!.tenants.busy.has(tenant);
      while (waits('many') && waits('few')) {
        const { caller, item, uncachedTokens } = serve(queue);
        const correction = Math.max(-uncachedTokens, all[Number(item)]![1]);
        queue.charge(caller, correction);
        served[caller.fairnessId]! += uncachedTokens + correction;
        const apart = Math.abs(served['many']! - served['few']!);
        // Corrected is the request of the one ahead, and before that the one of the other, by which it came into credit.
        assert.ok(apart <= quantumTokens + most + 2 * off, `${apart}`);
      }
    }),
  );
});

test('weights: twice the weight, twice the service', () => {
  const queue = queueOf({ quantumTokens: 1, weights: { heavy: 2 } });
  for (let i = 0; i < 60; i++)
    for (const tenant of ['heavy', 'light']) queue.add('', asking({ tenant, arrivedAtMs: i }));
  const served = Array.from({ length: 60 }, () => serve(queue).caller.fairnessId);
  assert.ok(Math.abs(served.filter((tenant) => tenant === 'heavy').length - 40) <= 1);
});

test('trying and keeping leaves the shares as they are', () => {
  const queue = queueOf({ quantumTokens: 100 });
  for (const tenant of ['ahead', 'behind']) {
    for (let i = 0; i < 5; i++) queue.add('', asking({ tenant, arrivedAtMs: tenant === 'ahead' ? i : 100 }));
  }
  queue.charge(asking({ tenant: 'ahead' }).caller, 350);
  for (let i = 0; i < 3; i++) inTurn(queue);
  const served = Array.from({ length: 4 }, () => serve(queue).caller.fairnessId);
  assert.deepEqual(served, ['behind', 'behind', 'behind', 'ahead']);
});

test('full: a higher priority takes the room of the least urgent below it, nobody else does', () => {
  const queue = queueOf({ maxRequests: 2 });
  queue.add('low', asking({ priority: -1 }));
  queue.add('normal', asking({}));
  assert.equal(queue.add('as low', asking({ priority: -1 })), null);
  assert.deepEqual(
    queue.add('high', asking({ priority: 1 }))!.evicted.map(({ item }) => item),
    ['low'],
  );
  assert.equal(queue.add('another', asking({})), null);
  assert.deepEqual(inTurn(queue), ['high', 'normal']);
});

test('limits of one priority: requests, bytes, time', () => {
  const band = { maxRequests: 3, maxBytes: 100, ttlSeconds: 1 };
  const queue = queueOf({ defaultBand: band });
  assert.ok(queue.add('a', asking({ bytes: 60 })));
  assert.equal(queue.add('too large', asking({ bytes: 41 })), null);
  assert.ok(queue.add('b', asking({ arrivedAtMs: 500, bytes: 40 })));
  assert.deepEqual(
    queue.takeExpired(1001).map(({ item }) => item),
    ['a'],
  );
  assert.equal(queue.bytes, 40);
});

test('what is ahead: higher priorities, the own tenant up to here, and others as much as that', () => {
  const queue = queueOf({ order: 'first-come' });
  const add = (priority: number, tenant: string, arrivedAtMs: number): unknown =>
    queue.add('', asking({ priority, tenant, arrivedAtMs, prefillSeconds: 1 }));
  for (const [priority, tenant, at] of [
    [1, 'x', 9],
    [0, 'a', 1],
    [0, 'a', 2],
    [0, 'a', 9],
    [0, 'b', 1],
  ] as const) {
    add(priority, tenant, at);
  }
  for (let i = 0; i < 5; i++) add(0, 'c', 0);
  assert.deepEqual(queue.aheadOf(asking({ arrivedAtMs: 5 })), { requests: 1 + 2 + 1 + 2, prefillSeconds: 6 });
  assert.equal(queue.aheadOf(asking({ priority: 2 })).requests, 0);
});

const step = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    priority: fc.integer({ min: -1, max: 2 }),
    tenant: fc.constantFrom('a', 'b', 'c'),
    prefillSeconds: fc.nat(5),
    uncachedTokens: fc.nat(500),
    bytes: fc.nat(10),
  }),
  fc.record({ do: fc.constantFrom('serve' as const, 'leave' as const, 'look' as const, 'expire' as const) }),
);

test('each request leaves exactly one way, whatever happens; sizes add up; nobody waits for ever', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const band = { maxRequests: 8, maxBytes: 40, ttlSeconds: 20 };
      const queue = queueOf({ maxRequests: 12, maxBytes: 60, quantumTokens: 300, defaultBand: band });
      const inside = new Map<Held<string>, 'waiting'>();
      const gone = (held: Held<string>): void => assert.ok(inside.delete(held), 'left twice');
      for (const [at, each] of steps.entries()) {
        const nowMs = at * 1000;
        if (each.do === 'add') {
          const added = queue.add(`${at}`, asking({ ...each, arrivedAtMs: nowMs }));
          for (const held of added?.evicted ?? []) gone(held);
          if (added !== null) inside.set(added.held, 'waiting');
        } else if (each.do === 'serve' && queue.size > 0) gone(serve(queue));
        else if (each.do === 'leave' && inside.size > 0) {
          const [held] = inside.keys();
          assert.ok(queue.remove(held!));
          assert.ok(!queue.remove(held!));
          gone(held!);
        } else if (each.do === 'look') assert.equal(inTurn(queue).length, inside.size);
        else if (each.do === 'expire') for (const held of queue.takeExpired(nowMs)) gone(held);
        assert.equal(queue.size, inside.size);
        assert.equal(
          queue.bytes,
          [...inside.keys()].reduce((sum, { bytes }) => sum + bytes, 0),
        );
        assert.ok(queue.size <= 12 && queue.bytes <= 60);
      }
      while (queue.size > 0) gone(serve(queue));
      assert.equal(inside.size, 0);
    }),
  );
});

test('a look goes on where it was when something left it or was served: each once, those in credit first', () => {
  const steps = fc.array(fc.constantFrom('keep', 'serve', 'drop'), { minLength: 30, maxLength: 30 });
  fc.assert(
    fc.property(steps, (outcomes) => {
      const queue = queueOf({ quantumTokens: 250 });
      for (let i = 0; i < 30; i++)
        queue.add(`${i}`, asking({ tenant: 'abc'[i % 3]!, arrivedAtMs: i, priority: i % 2 }));
      const pass = queue.pass();
      const seen: string[] = [];
      for (const outcome of outcomes) {
        const held = pass.next()!;
        seen.push(held.item);
        if (outcome !== 'keep') queue.remove(held);
        if (outcome === 'serve') queue.charge(held.caller, held.uncachedTokens);
      }
      assert.equal(pass.next(), undefined);
      assert.equal(new Set(seen).size, 30);
      assert.equal(queue.size, outcomes.filter((outcome) => outcome === 'keep').length);
      assert.equal(inTurn(queue).length, queue.size);
    }),
  );
});

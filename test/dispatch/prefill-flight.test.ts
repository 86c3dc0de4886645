import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import type { Flight } from '../../src/dispatch/flight.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { prefixKeyOf } from '../../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../../src/journal/journal.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';

/** Every request is split; both roles have `each` endpoints. */
function system(each = 2) {
  const clock = new VirtualClock();
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  const dispatch = new Dispatch({
    clock,
    random: seededRandom(1),
    fleet,
    journal: new Journal(),
    policy: presetPolicy('always-split'),
  });
  const slots = new Map<string, number>();
  for (const role of ['prefill', 'decode']) {
    for (let number = 1; number <= each; number++) {
      const name = `${role}-${number}`;
      const slot = fleet.add({ name, address: `${name}:1`, labels: { 'llm-d.ai/role': role } });
      fleet.setModels(slot, [{ id: 'm' }]);
      slots.set(name, slot);
    }
  }
  const place = (streaming = true): Flight => {
    let flight: Flight | null = null;
    const bytes = Buffer.from('The same beginning. '.repeat(200));
    dispatch.place(
      {
        requestId: 'r',
        model: 'm',
        kind: 'completions',
        streaming,
        promptTokens: 1000,
        maxOutputTokens: 10,
        sessionEndpoint: null,
        headers: {},
      },
      prefixKeyOf({ model: 'm', cacheSalt: null, bytes }, fleet.prefixSeed),
      {
        placed: (placed) => (flight = placed),
        refused: (error) => {
          throw error;
        },
      },
    );
    return flight!;
  };
  const counted = (column: 'inFlight' | 'queuedPrefillTokens'): Record<string, number> =>
    Object.fromEntries([...slots].map(([name, slot]) => [name, fleet.ledger[column][slot]!]));
  const sum = (column: 'inFlight' | 'queuedPrefillTokens'): number =>
    Object.values(counted(column)).reduce((total, value) => total + value, 0);
  return { clock, fleet, slots, place, counted, sum };
}

const ended = { status: 200, complete: true, promptTokens: 1000, cachedTokens: 0, completionTokens: 10 };

test('prefill is counted where the prompt is computed, the answer where it is decoded', () => {
  const { place, counted, fleet, slots, sum } = system();
  const flight = place();
  const prefill = flight.prefill!.endpoint!.name;
  const decode = flight.endpoint.name;
  assert.deepEqual([prefill.slice(0, 7), decode.slice(0, 6)], ['prefill', 'decode']);
  assert.equal(counted('queuedPrefillTokens')[prefill], 1000);
  assert.equal(counted('queuedPrefillTokens')[decode], 0);
  assert.deepEqual([counted('inFlight')[prefill], counted('inFlight')[decode]], [1, 1]);

  flight.prefill!.answered(200);
  assert.equal(flight.prefill!.endpoint, null);
  assert.deepEqual([counted('inFlight')[prefill], counted('inFlight')[decode]], [0, 1]);
  flight.firstToken(200);
  flight.finish(ended);
  assert.equal(sum('inFlight') + sum('queuedPrefillTokens'), 0);
  assert.ok(!Number.isNaN(fleet.speed.relative[slots.get(prefill)!]!), 'prefill taught its speed');
  assert.ok(Number.isNaN(fleet.speed.relative[slots.get(decode)!]!), 'decode computed no prompt');
  assert.deepEqual(flight.decision.disaggregation!.attempts, [{ endpoint: prefill, status: 200, reason: 'answered' }]);
  assert.equal(place().decision.inputs.cachedTokens.filter((tokens) => tokens > 900).length, 2, 'cached at both');
});

test('prefill fails: one other is tried, then the decode endpoint computes the prompt', () => {
  const { place, counted, sum } = system(3);
  const flight = place();
  const first = flight.prefill!.endpoint!.name;
  const second = flight.prefill!.failed(null, 'connect', 'connection refused')!.name;
  assert.notEqual(second, first);
  assert.equal(counted('queuedPrefillTokens')[first], 0);
  assert.equal(counted('queuedPrefillTokens')[second], 1000);
  assert.equal(flight.prefill!.failed(500, 'server-error', 'server error'), null);
  assert.equal(flight.prefill!.endpoint, null);
  assert.equal(counted('queuedPrefillTokens')[flight.endpoint.name], 1000);
  assert.equal(sum('inFlight'), 1);
  assert.deepEqual(flight.decision.disaggregation!.attempts, [
    { endpoint: first, status: null, reason: 'connection refused' },
    { endpoint: second, status: 500, reason: 'server error' },
  ]);
  flight.firstToken(200);
  flight.finish(ended);
  assert.equal(sum('inFlight') + sum('queuedPrefillTokens'), 0);
});

test('a request that the prefill endpoint refuses is not shown to another', () => {
  const { place, sum } = system();
  const flight = place();
  assert.equal(flight.prefill!.failed(400, 'refused', 'refused the request'), null);
  assert.equal(sum('queuedPrefillTokens'), 1000);
  flight.finish({ ...ended, status: 400, complete: false });
  assert.equal(sum('inFlight') + sum('queuedPrefillTokens'), 0);
});

test('decode fails: prefill is run again for the next one, for what it handed over was for one use', () => {
  const { place, sum } = system();
  const flight = place();
  flight.prefill!.answered(200);
  const next = flight.retry(null, 'connect', 'connection refused')!;
  assert.match(next.name, /^decode/);
  assert.ok(flight.prefill?.endpoint);
  assert.ok(sum('queuedPrefillTokens') > 0);
  flight.prefill.answered(200);
  flight.firstToken(200);
  flight.finish(ended);
  assert.equal(flight.decision.disaggregation!.attempts.length, 2);
  assert.equal(sum('inFlight') + sum('queuedPrefillTokens'), 0);
});

test('the client leaves while the prompt is computed: both ends are free', () => {
  for (const streaming of [true, false]) {
    const { place, sum } = system();
    const flight = place(streaming);
    flight.finish({ ...ended, status: 499, complete: false, reason: 'the client left' });
    assert.equal(sum('inFlight') + sum('queuedPrefillTokens'), 0);
    assert.equal(flight.decision.disaggregation!.attempts[0]!.reason, 'the client left');
  }
});

test('a first token from decode says that prefill is over, even if nobody did', () => {
  const { place, sum } = system();
  const flight = place();
  flight.firstToken(200);
  assert.equal(sum('inFlight'), 1);
  assert.equal(sum('queuedPrefillTokens'), 0);
});

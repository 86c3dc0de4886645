import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { SignalboxError } from '../../src/base/errors.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import type { Flight } from '../../src/dispatch/flight.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { prefixKeyOf, type PrefixKey } from '../../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../../src/journal/journal.ts';
import { OwnPlugins } from '../../src/configuration/own-plugins.ts';
import { loadPolicy } from '../../src/door/policy-source.ts';
import type { SchedulingRequest } from '../../src/scheduler/request.ts';

const walkthrough = {
  ENABLE_PREFIX_AWARE_SCORER: 'true',
  PREFIX_AWARE_SCORER_WEIGHT: '2',
  ENABLE_LOAD_AWARE_SCORER: 'true',
};

async function system(names: readonly string[]) {
  const clock = new VirtualClock();
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  const journal = new Journal();
  const { policy } = await loadPolicy({ environment: walkthrough }, new OwnPlugins(() => undefined));
  const dispatch = new Dispatch({ clock, random: seededRandom(1), fleet, journal, policy });
  for (const name of names) fleet.setModels(fleet.add({ name, address: `${name}:1`, labels: {} }), [{ id: 'm' }]);
  let count = 0;
  const text = 'The same beginning. '.repeat(40);
  const key = (prompt: string): PrefixKey =>
    prefixKeyOf({ model: 'm', cacheSalt: null, bytes: Buffer.from(prompt) }, fleet.prefixSeed);
  const place = (options: Partial<SchedulingRequest> & { prompt?: string } = {}): Flight => {
    let flight: Flight | null = null;
    const { prompt = text, ...rest } = options;
    const request: SchedulingRequest = {
      requestId: `r${++count}`,
      model: 'm',
      kind: 'completions',
      streaming: true,
      promptTokens: Math.ceil(prompt.length / 4),
      maxOutputTokens: 10,
      sessionEndpoint: null,
      headers: {},
      ...rest,
    };
    dispatch.place(request, key(prompt), {
      placed: (placed) => (flight = placed),
      refused: (error) => {
        throw error;
      },
    });
    return flight!;
  };
  return { clock, fleet, journal, dispatch, place };
}

const ended = { status: 200, complete: true, promptTokens: 200, cachedTokens: 0, completionTokens: 10 };

test('a burst spreads before any answer or gauge: each pick is counted in its own step', async () => {
  const { place, fleet } = await system(['a', 'b', 'c', 'd']);
  const flights = Array.from({ length: 40 }, (_, i) => place({ prompt: `${i} different `.repeat(30) }));
  for (const slot of fleet.slots) assert.equal(fleet.ledger.inFlight[slot], 10);
  for (const flight of flights) flight.finish(ended);
  for (const slot of fleet.slots) {
    assert.equal(fleet.ledger.inFlight[slot], 0);
    assert.equal(fleet.ledger.queuedPrefillTokens[slot], 0);
    assert.equal(fleet.ledger.contextTokens[slot], 0);
  }
});

test('a prefix counts from the pick, and not after its request failed', async () => {
  const { place } = await system(['a', 'b']);
  const first = place();
  assert.equal(first.decision.predicted.cachedTokens, 0);
  assert.ok(place().decision.inputs.cachedTokens.some((tokens) => tokens > 0));

  const { place: placeElsewhere } = await system(['a']);
  placeElsewhere().finish({ ...ended, status: 502, complete: false });
  assert.equal(placeElsewhere().decision.predicted.cachedTokens, 0);
});

test('each endpoint is tried once, and every attempt stands in the decision', async () => {
  const { place, fleet, journal } = await system(['a', 'b', 'c']);
  const flight = place();
  const tried = [flight.endpoint.name];
  for (let next = flight.retry(503, 'busy', 'busy'); next !== null; next = flight.retry(503, 'busy', 'busy')) {
    tried.push(next.name);
  }
  flight.finish({ ...ended, status: 503, complete: false });
  assert.deepEqual([...tried].sort(), ['a', 'b', 'c']);
  assert.deepEqual(
    flight.decision.attempts.map(({ endpoint }) => endpoint),
    tried,
  );
  assert.ok(
    fleet.slots.every((slot) => fleet.isReady(slot)),
    'busy condemns nobody',
  );
  assert.ok(fleet.slots.every((slot) => fleet.ledger.inFlight[slot] === 0));
  assert.equal(journal.find('r1')?.outcome?.status, 503);
});

test('an endpoint that leaves takes its cache along, and its flights end without harm to who comes after', async () => {
  const { place, fleet } = await system(['a']);
  const flight = place();
  flight.firstToken(200);
  fleet.remove('a');
  const slot = fleet.add({ name: 'a', address: 'a:2', labels: {} });
  fleet.setModels(slot, [{ id: 'm' }]);
  assert.equal(fleet.ledger.inFlight[slot], 0);
  flight.finish(ended);
  assert.equal(fleet.ledger.inFlight[slot], 0);
  assert.equal(place().decision.predicted.cachedTokens, 0);
});

test('refusals say why', async () => {
  const { dispatch, fleet } = await system(['a']);
  const refusal = (model: string): SignalboxError => {
    let refused: SignalboxError | null = null;
    const request: SchedulingRequest = {
      requestId: 'r',
      model,
      kind: 'completions',
      streaming: false,
      promptTokens: 1,
      maxOutputTokens: null,
      sessionEndpoint: null,
      headers: {},
    };
    const key = prefixKeyOf({ model, cacheSalt: null, bytes: new Uint8Array(0) }, fleet.prefixSeed);
    dispatch.place(request, key, { placed: () => assert.fail('placed'), refused: (error) => (refused = error) });
    return refused!;
  };
  assert.match(refusal('x').message, /"x" does not exist here\. Models: m/);
  assert.equal(refusal('x').code, 'model_unknown');
  fleet.failed(0, 'connect', 0);
  assert.equal(refusal('m').code, 'no_endpoint');
  assert.equal(refusal('m').retryAfterSeconds, 1);
  fleet.remove('a');
  dispatch.setPolicy({ ...dispatch.policy, hold: null });
  assert.match(refusal('m').message, /No endpoint is known/);
});

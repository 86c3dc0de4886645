import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fleet } from '../../src/fleet/fleet.ts';
import { follow, LeadingFleet, type Telling } from '../../src/fleet/following.ts';
import type { Gauges } from '../../src/fleet/gauges/gauges.ts';

const names = ['a', 'b', 'c'];
const step = fc.oneof(
  fc.record({ what: fc.constant('add' as const), name: fc.constantFrom(...names), ready: fc.boolean() }),
  fc.record({ what: fc.constant('remove' as const), name: fc.constantFrom(...names) }),
  fc.record({
    what: fc.constant('models' as const),
    name: fc.constantFrom(...names),
    id: fc.constantFrom('m', 'n', null),
  }),
  fc.record({ what: fc.constant('gauges' as const), name: fc.constantFrom(...names), waiting: fc.nat({ max: 9 }) }),
  fc.record({ what: fc.constant('refused' as const), name: fc.constantFrom(...names) }),
  fc.record({ what: fc.constant('well' as const), name: fc.constantFrom(...names) }),
);
const gauges: Gauges = { waiting: 0, running: 0, kvUsage: 0.5, kvCapacityTokens: 1000 };

function newFleet(): Fleet {
  return new Fleet({ prefixSeed: { low: 1, high: 2 }, prefixIndexBytes: 64 * 1024 });
}

/** What a request could tell two fleets apart by. */
function told(fleet: Fleet): unknown {
  return [...fleet.slots]
    .sort((left, right) => left - right)
    .map((slot) => ({
      slot,
      name: fleet.endpointAt(slot)?.name,
      state: fleet.stateAt(slot),
      models: [...fleet.modelsAt(slot).keys()],
      waiting: fleet.gauges.waiting[slot],
      kvUsage: fleet.gauges.kvUsage[slot],
      capacity: fleet.kvCapacityTokens[slot],
      out: fleet.outage(slot, 0)?.reason,
    }));
}

test('a fleet that follows another, from the start or from any moment on, knows what that one knows', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const fleet = newFleet();
      const follower = newFleet();
      const leading = new LeadingFleet(fleet, (telling) => follow(follower, structuredClone(telling)));
      const { watched } = leading;
      for (const [nowMs, each] of steps.entries()) {
        if (each.what === 'add') {
          watched.add({ name: each.name, address: `${each.name}:1`, labels: {} }, each.ready);
          continue;
        }
        if (each.what === 'remove') {
          watched.remove(each.name);
          continue;
        }
        const slot = fleet.slotOf(each.name);
        if (slot === null) continue;
        if (each.what === 'models') watched.setModels(slot, each.id === null ? null : [{ id: each.id }]);
        if (each.what === 'gauges') watched.setGauges(slot, { ...gauges, waiting: each.waiting }, nowMs);
        if (each.what === 'refused') watched.failed(slot, 'connect', nowMs);
        if (each.what === 'well') watched.probed(slot, 'well', nowMs);
      }
      assert.deepEqual(told(follower), told(fleet));
      const late = newFleet();
      for (const telling of leading.everything(steps.length)) follow(late, structuredClone<Telling>(telling));
      assert.deepEqual(told(late), told(fleet));
    }),
  );
});

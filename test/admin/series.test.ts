import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Series } from '../../src/admin/series.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { noPrefix } from '../../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../../src/journal/journal.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { requestOf } from '../support/scheduling.ts';

const startMs = Date.UTC(2026, 7, 4, 9);

test('each second stands with what was decided and what ended in it, for the pool and for each endpoint', () => {
  const clock = new VirtualClock(startMs);
  const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
  fleet.setModels(fleet.add({ name: 'a', address: 'a:1', labels: {} }), [{ id: 'm' }]);
  const journal = new Journal();
  const policy = presetPolicy('least-added-wait');
  const dispatch = new Dispatch({ clock, random: seededRandom(1), fleet, journal, policy });
  const series = new Series(dispatch);
  // Two begin in the first second and end in the second; in the third one fails.
  const ask = (atMs: number, forMs: number, status: number): void => {
    clock.after(atMs, () => {
      dispatch.place(requestOf({ model: 'm', promptTokens: 100, streaming: true }), noPrefix, {
        placed: (flight) => {
          clock.after(forMs, () => {
            const usage = status === 200 ? { promptTokens: 100, cachedTokens: 40, completionTokens: 10 } : {};
            if (status === 200) flight.firstToken(status);
            const unknown = { promptTokens: null, cachedTokens: null, completionTokens: null };
            flight.finish({ status, complete: true, ...unknown, ...usage });
          });
        },
        refused: (error) => assert.fail(error.message),
      });
    });
  };
  ask(200, 1300, 200);
  ask(400, 1300, 200);
  ask(2100, 100, 500);
  clock.after(3500, () => undefined);
  clock.run(() => clock.nowMs() < 3500);

  const { pool, endpoints } = series.json();
  assert.deepEqual(pool.endedAtMs, [startMs + 1000, startMs + 2000, startMs + 3000]);
  const { columns } = pool;
  assert.deepEqual(columns.requestsPerSecond, [0, 2, 1]);
  assert.deepEqual(columns.failedPerSecond, [0, 0, 1]);
  assert.deepEqual(columns.completionTokensPerSecond, [0, 20, 0]);
  assert.deepEqual(columns.inFlight, [2, 0, 0]);
  assert.deepEqual(columns.ttftP50Seconds, [null, 1.3, null]);
  assert.deepEqual(columns.cachedTokensPerSecond, [0, 80, null], 'what no engine has said is not known');
  assert.deepEqual(endpoints.columns['a']!.cachedShare, [null, 0.4, null]);
  assert.deepEqual(series.json(startMs + 2000).pool.endedAtMs, [startMs + 3000]);
  series.close();
});

/** Time to look, decide and record, by number of endpoints: `npm run bench:scheduler`. */
import { wallClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import { Dispatch } from '../src/dispatch/dispatch.ts';
import { Fleet } from '../src/fleet/fleet.ts';
import { prefixKeyOf } from '../src/fleet/prefix-index/prefix-key.ts';
import { OwnPlugins } from '../src/configuration/own-plugins.ts';
import { loadPolicy } from '../src/door/policy-source.ts';
import { Journal } from '../src/journal/journal.ts';
import type { SchedulingRequest } from '../src/scheduler/request.ts';

const warmUps = 2000;
const runs = 4000;

const { policy } = await loadPolicy({ environment: {} }, new OwnPlugins(() => undefined));
const prompt = Buffer.from('A prompt that is asked again and again, by many. '.repeat(80));
process.stdout.write(`${policy.name}, prompt of ${prompt.length} bytes: microseconds a decision\n`);
for (const endpoints of [8, 16, 100, 256, 1000]) {
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  for (let i = 0; i < endpoints; i++) {
    fleet.setModels(fleet.add({ name: `decode-${i}`, address: `10.0.0.${i}:8000`, labels: {} }), [{ id: 'm' }]);
  }
  const dispatch = new Dispatch({ clock: wallClock, random: seededRandom(1), fleet, journal: new Journal(), policy });
  const key = prefixKeyOf({ model: 'm', cacheSalt: null, bytes: prompt }, fleet.prefixSeed);
  const request: SchedulingRequest = {
    requestId: 'r',
    model: 'm',
    kind: 'chat',
    streaming: true,
    promptTokens: prompt.length / 4,
    maxOutputTokens: 100,
    sessionEndpoint: null,
    headers: {},
  };
  const micros: number[] = [];
  for (let run = 0; run < warmUps + runs; run++) {
    const startMs = performance.now();
    dispatch.place(request, key, {
      placed: (flight) => {
        if (run >= warmUps) micros.push((performance.now() - startMs) * 1000);
        flight.finish({ status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens: null });
      },
      refused: (error) => {
        throw error;
      },
    });
  }
  micros.sort((a, b) => a - b);
  const at = (share: number): string => micros[Math.floor(share * (micros.length - 1))]!.toFixed(1).padStart(8);
  process.stdout.write(`${String(endpoints).padStart(5)} endpoints  p50${at(0.5)}  p99${at(0.99)}\n`);
}

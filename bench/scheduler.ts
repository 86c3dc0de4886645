/** Time to hash, look, decide, record and count, by length of the prompt and number of endpoints: `npm run bench:scheduler`. */
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
const kibibyte = 1024;
/** Prompts of one length: the most of each is known, its end is new. */
const groups = 32;

const { policy } = await loadPolicy({ environment: {} }, new OwnPlugins(() => undefined));
process.stdout.write(`${policy.name}: microseconds a decision\n`);
for (const promptBytes of [4 * kibibyte, 32 * kibibyte, 128 * kibibyte]) {
  for (const endpoints of [16, 256, 1000]) measure(promptBytes, endpoints);
}

function measure(promptBytes: number, endpoints: number): void {
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  for (let i = 0; i < endpoints; i++) {
    fleet.setModels(fleet.add({ name: `decode-${i}`, address: `10.0.0.${i}:8000`, labels: {} }), [{ id: 'm' }]);
  }
  const dispatch = new Dispatch({ clock: wallClock, random: seededRandom(1), fleet, journal: new Journal(), policy });
  const prompts = Array.from({ length: groups }, (_, group) =>
    Buffer.from(`${group}: a prompt that is asked again and again, by many. `.repeat(promptBytes / 32)).subarray(
      0,
      promptBytes,
    ),
  );
  const request: SchedulingRequest = {
    requestId: 'r',
    model: 'm',
    kind: 'chat',
    streaming: true,
    promptTokens: promptBytes / 4,
    maxOutputTokens: 100,
    sessionEndpoint: null,
    headers: {},
  };
  const micros: number[] = [];
  for (let run = 0; run < warmUps + runs; run++) {
    const prompt = prompts[run % groups]!;
    prompt.writeUInt32LE(run, promptBytes - promptBytes / 4);
    const startMs = performance.now();
    const key = prefixKeyOf({ model: 'm', cacheSalt: null, bytes: prompt }, fleet.prefixSeed);
    dispatch.place(request, key, {
      placed: (flight) => {
        if (run >= warmUps) micros.push((performance.now() - startMs) * 1000);
        flight.firstToken(200);
        flight.finish({ status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens: null });
      },
      refused: (error) => {
        throw error;
      },
    });
  }
  micros.sort((a, b) => a - b);
  const at = (share: number): string => micros[Math.floor(share * (micros.length - 1))]!.toFixed(1).padStart(8);
  const what = `${promptBytes / kibibyte} KB, ${endpoints} endpoints`.padEnd(24);
  process.stdout.write(`${what} p50${at(0.5)}  p90${at(0.9)}  p99${at(0.99)}\n`);
}

/** What asking for a key costs a request, with 10,000 keys: `npm run bench:keys`. */
import { wallClock } from '../src/base/clock.ts';
import { Keys } from '../src/keys/keys.ts';
import { hashOf, newKey } from '../src/keys/secret.ts';

const count = 10_000;
const checks = 1_000_000;

const keys = new Keys(wallClock);
const known = Array.from({ length: count }, newKey);
const limits = { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, maxConcurrent: 100, priority: 1 };
await keys.replace({
  keys: known.map((key, index) => ({ name: `team-${index}`, hash: hashOf(key), ...limits })),
  issuers: [],
});
const headers = known.map((key) => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' }));

/** Nanoseconds of CPU that each of `checks` takes. */
function measure(step: (index: number) => void): number {
  for (let i = 0; i < checks / 10; i++) step(i % count);
  const before = process.cpuUsage();
  for (let i = 0; i < checks; i++) step((i * 7919) % count);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / checks;
}

function fail(error: unknown): never {
  throw error;
}

const microseconds = (nanoseconds: number): string => `${(nanoseconds / 1000).toFixed(2)} µs`;
const identify = measure((index) => void keys.identify(headers[index]!));
const check = measure((index) => keys.begin(headers[index]!, (use) => use.ended(), fail));
const whole = measure((index) => {
  keys.begin(
    headers[index]!,
    (use) => {
      use.ask('m', 1000, 100, performance.now());
      use.answered({ promptTokens: 1000, cachedTokens: 500, completionTokens: 80 }, performance.now());
      use.ended();
    },
    fail,
  );
});
process.stdout.write(`${count} keys, CPU time of one of ${checks} checks, over all keys in turn
  whose key it is                                  ${microseconds(identify)}
  that, and whether its limits let a request in    ${microseconds(check)}
  all of it: tokens as well, and what was used     ${microseconds(whole)}
`);

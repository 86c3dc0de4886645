/**
 * What sharing costs in CPU a request: `npm run bench:sharing`. Three replicas in one process on the virtual clock, a thousand
 * requests a second, each with 8 KB of prompt of which a sixteenth is new; rounds with and without sharing in turn. What
 * Redis and its connection cost comes on top: two commands for each batch, fifty batches a second.
 */
import { createLogger } from '../src/base/log.ts';
import { seededRandom } from '../src/base/random.ts';
import { VirtualClock } from '../src/base/virtual-clock.ts';
import { Dispatch } from '../src/dispatch/dispatch.ts';
import { Fleet } from '../src/fleet/fleet.ts';
import { Journal } from '../src/journal/journal.ts';
import { presetPolicy } from '../src/scheduler/presets.ts';
import type { Link, LinkHandlers } from '../src/sharing/link.ts';
import { Sharing } from '../src/sharing/sharing.ts';
import { median } from './lib/median.ts';

const [replicas, endpoints, requests, perSecond, blocks, newBlocks, rounds] = [3, 8, 20_000, 1000, 128, 8, 5];
const model = 'model';
const promptBytes = blocks * 64;
const silent = createLogger('bench', { write: () => undefined });

/** Microseconds of CPU a request. */
function run(shares: boolean): number {
  const clock = new VirtualClock();
  const readers: LinkHandlers[] = [];
  const connect = (handlers: LinkHandlers): Link => {
    readers.push(handlers);
    clock.after(0, () => handlers.up());
    const write = (text: string, bytes: Buffer): void => {
      clock.after(2, () => readers.forEach((reader) => reader.read(text, bytes)));
    };
    return { isUp: true, isBusy: false, reason: '', write, touch: () => undefined, close: () => Promise.resolve() };
  };
  const dispatches = Array.from({ length: replicas }, (_, at) => {
    const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
    for (let each = 0; each < endpoints; each++) {
      const name = `endpoint-${each}`;
      fleet.setModels(fleet.add({ name, address: `${name}:8000`, labels: {} }), [{ id: model }]);
    }
    const policy = presetPolicy('least-added-wait');
    const journal = new Journal(64 * 1024);
    const dispatch = new Dispatch({ clock, random: seededRandom(at), fleet, journal, policy });
    if (shares) {
      new Sharing({ connect, name: 'replica', instance: String(at), dispatch, keys: null, clock, log: silent });
    }
    return dispatch;
  });
  let ended = 0;
  const send = (number: number): void => {
    const promptTokens = promptBytes / 4;
    const [low, high] = [new Uint32Array(blocks), new Uint32Array(blocks).fill(number % 50)];
    for (let block = 0; block < blocks; block++) {
      low[block] = Math.imul(block + 1, 0x9e3779b1) ^ (block < blocks - newBlocks ? number % 50 : number);
    }
    const request = { requestId: `${number}`, model, kind: 'completions', streaming: true, promptTokens } as const;
    dispatches[number % replicas]!.place(
      { ...request, maxOutputTokens: 100, sessionEndpoint: null, headers: {} },
      { hashes: { low, high }, promptBytes },
      {
        placed: (flight) => {
          clock.after(20, () => flight.firstToken(200));
          clock.after(200, () => {
            ended += 1;
            const tokens = { promptTokens, cachedTokens: 0, completionTokens: 100 };
            flight.finish({ status: 200, complete: true, ...tokens });
          });
        },
        refused: (error) => {
          throw error;
        },
      },
    );
    if (number + 1 < requests) clock.after(1000 / perSecond, () => send(number + 1));
  };
  clock.after(100, () => send(0));
  const before = process.cpuUsage();
  clock.run(() => ended < requests);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

run(true);
run(false);
const costs: number[] = [];
for (let round = 0; round < rounds; round++) {
  const [alone, shared] = [run(false), run(true)];
  costs.push(shared - alone);
  process.stdout.write(`alone ${alone.toFixed(1)} µs, sharing ${shared.toFixed(1)} µs a request\n`);
}
process.stdout.write(`sharing costs ${median(costs).toFixed(1)} µs of CPU a request (median of ${rounds})\n`);

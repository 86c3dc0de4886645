import type { Clock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { createLogger } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { Journal } from '../../src/journal/journal.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import type { Link, LinkHandlers } from '../../src/sharing/link.ts';
import { Sharing } from '../../src/sharing/sharing.ts';
import { VirtualStream } from './virtual-stream.ts';

/** Three that have a thousand requests a second together. */
export const [replicas, perSecond] = [3, 1000];
const [endpoints, blocks, newBlocks, sessions] = [8, 128, 8, 50];
const model = 'model';
const promptBytes = blocks * 64;
const promptTokens = promptBytes / 4;
const silent = createLogger('bench', { write: () => undefined });

/** As evenly spread as hashes are (MurmurHash3's last step). */
function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A replica without a front door: eight endpoints that answer as soon as they are asked. */
export class Replica {
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly sharing: Sharing | null;
  ended = 0;

  constructor(clock: Clock, rank: number, connect: ((handlers: LinkHandlers) => Link) | null) {
    const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
    for (let each = 0; each < endpoints; each++) {
      const name = `endpoint-${each}`;
      fleet.setModels(fleet.add({ name, address: `${name}:8000`, labels: {} }), [{ id: model }]);
    }
    const [policy, journal] = [presetPolicy('least-added-wait'), new Journal(64 * 1024)];
    const dispatch = new Dispatch({ clock, random: seededRandom(rank), fleet, journal, policy });
    const facts = { name: 'replica', instance: String(rank), dispatch, keys: null, clock, log: silent };
    this.sharing = connect === null ? null : new Sharing({ connect, ...facts });
    this.#dispatch = dispatch;
    this.#clock = clock;
  }

  /** One of 8 KB of prompt, of which a sixteenth is new. */
  send(number: number): void {
    const session = number % sessions;
    const [low, high] = [new Uint32Array(blocks), new Uint32Array(blocks).fill(session)];
    for (let block = 0; block < blocks; block++) {
      low[block] = mixed(block + blocks * (block < blocks - newBlocks ? session : number + sessions));
    }
    const request = { requestId: `${number}`, model, kind: 'completions', streaming: true, promptTokens } as const;
    this.#dispatch.place(
      { ...request, maxOutputTokens: 100, sessionEndpoint: null, headers: {} },
      { hashes: { low, high }, promptBytes },
      {
        placed: (flight) => {
          this.#clock.after(20, () => flight.firstToken(200));
          this.#clock.after(200, () => {
            this.ended += 1;
            const tokens = { promptTokens, cachedTokens: 0, completionTokens: 100 };
            flight.finish({ status: 200, complete: true, ...tokens });
          });
        },
        refused: (error) => {
          throw error;
        },
      },
    );
  }
}

/** All of them on the virtual clock. Microseconds of CPU a request, of all together. */
export function inOneProcess({ shares, requests }: { readonly shares: boolean; readonly requests: number }): number {
  const clock = new VirtualClock();
  const stream = new VirtualStream(clock);
  const all = Array.from(
    { length: replicas },
    (_, rank) => new Replica(clock, rank, shares ? (handlers) => stream.connect(handlers) : null),
  );
  const send = (number: number): void => {
    all[number % replicas]!.send(number);
    if (number + 1 < requests) clock.after(1000 / perSecond, () => send(number + 1));
  };
  clock.after(100, () => send(0));
  const before = process.cpuUsage();
  clock.run(() => all.reduce((sum, { ended }) => sum + ended, 0) < requests);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { seededRandom } from '../src/base/random.ts';
import { VirtualClock } from '../src/base/virtual-clock.ts';
import { Dispatch } from '../src/dispatch/dispatch.ts';
import type { Flight } from '../src/dispatch/flight.ts';
import { Fleet } from '../src/fleet/fleet.ts';
import { noPrefix } from '../src/fleet/prefix-index/prefix-key.ts';
import { Journal } from '../src/journal/journal.ts';
import { FlowQueue } from '../src/admission/flow-queue.ts';
import { defaultHoldRule } from '../src/scheduler/flow-control.ts';
import type { Policy } from '../src/scheduler/policy.ts';
import { presetPolicy } from '../src/scheduler/presets.ts';
import { anyCaller, type SchedulingRequest } from '../src/scheduler/request.ts';
import { median } from './lib/median.ts';

const endpoints = 8;
const waiting = 50_000;
const tenants = 40;
const bytes = 8192;
const roomy = {
  ...defaultHoldRule,
  maxRequests: waiting,
  defaultBand: { ...defaultHoldRule.defaultBand, maxRequests: waiting },
};

const done = { status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens: 10 };

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function requestOf(id: number): SchedulingRequest {
  return {
    requestId: `${id}`,
    model: 'm',
    kind: 'chat',
    streaming: true,
    promptTokens: 500 + (id % 1000),
    maxOutputTokens: 100,
    sessionEndpoint: null,
    headers: {},
    bytes,
    caller: { ...anyCaller, priority: id % 3, fairnessId: `tenant ${id % tenants}` },
  };
}

function dispatchOf(policy: Policy, kvCapacityTokens = 300_000): Dispatch {
  const clock = new VirtualClock();
  const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
  for (let i = 0; i < endpoints; i++) {
    const slot = fleet.add({ name: `e${i}`, address: `10.0.0.${i}:8000`, labels: {} });
    fleet.setModels(slot, [{ id: 'm' }]);
    fleet.setGauges(slot, { waiting: 0, running: 0, kvUsage: NaN, kvCapacityTokens }, 0);
  }
  return new Dispatch({ clock, random: seededRandom(1), fleet, journal: new Journal(1 << 24), policy });
}

/** CPU microseconds of each run of `step`, `count` times. */
function micros(count: number, step: (at: number) => void): number {
  const start = process.cpuUsage();
  for (let at = 0; at < count; at++) step(at);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

/** A request from its coming to its end, with nothing waiting. */
function unsaturated(dispatch: Dispatch, count: number): number {
  return micros(count, (at) => {
    dispatch.place(requestOf(at), noPrefix, {
      placed: (flight) => {
        flight.firstToken(200);
        flight.finish(done);
      },
      refused: (error) => {
        throw error;
      },
      takeBack: () => false,
    });
  });
}

function askOf(dispatch: Dispatch, flights: Flight[], id: number): void {
  dispatch.place(requestOf(id), noPrefix, {
    placed: (flight) => flights.push(flight),
    refused: (error) => {
      throw error;
    },
  });
}

/** One ends and another comes, with as many on their way as where others wait. */
function steady(dispatch: Dispatch, flights: Flight[]): number {
  return micros(1000, (at) => {
    const flight = flights.shift()!;
    flight.firstToken(200);
    flight.finish(done);
    askOf(dispatch, flights, at);
  });
}

/** CPU time of flow control, measured in this process: differences between means, so a few tenths are noise. */
export async function costs(): Promise<string[]> {
  const preset = presetPolicy('least-added-wait');
  const on = dispatchOf({ ...preset, hold: { ...preset.hold!, ...roomy, maxPrefillBacklogSeconds: 3 } });
  const off = dispatchOf({ ...preset, hold: null });
  const differences: number[] = [];
  for (let round = 0; round < 12; round++) {
    const [withIt, without] = [unsaturated(on, 5000), unsaturated(off, 5000)];
    if (round > 1) differences.push(withIt - without);
  }
  const added = median(differences);

  // The queue alone: in, and out in turn.
  const queue = new FlowQueue<number>(roomy);
  const into = micros(waiting, (at) => {
    const { caller = anyCaller, promptTokens } = requestOf(at);
    queue.add(at, {
      caller,
      arrivedAtMs: at,
      timeoutSeconds: null,
      prefillSeconds: promptTokens / 1e4,
      promptTokens,
      uncachedTokens: promptTokens,
      bytes,
    });
  });
  const out = micros(waiting, () => {
    const pass = queue.pass();
    const held = pass.next()!;
    queue.remove(held);
    queue.charge(held.caller, held.uncachedTokens);
  });

  // All of it: 50,000 wait while the endpoints are full; then one after another ends, and the next is placed.
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const full = dispatchOf({ ...preset, hold: { ...preset.hold!, ...roomy, maxPrefillBacklogSeconds: 0.2 } });
  const flights: Flight[] = [];
  const ask = (at: number): void => askOf(full, flights, at);
  for (let at = 0; at < 200; at++) ask(at);
  const arriving = micros(waiting - full.held, (at) => ask(at + 1000));
  collectGarbage();
  const each = (process.memoryUsage().heapUsed - before) / full.held;
  const held = full.held;
  // In turn with requests that nobody waits for; the first rounds are left out, for they are compiled in.
  const placings: number[] = [];
  const ordinary: number[] = [];
  const spare = dispatchOf({ ...preset, hold: { ...preset.hold!, ...roomy, maxPrefillBacklogSeconds: 1e6 } }, 1e9);
  const spareFlights: Flight[] = [];
  for (let at = 0; at < 2000; at++) askOf(spare, spareFlights, at);
  for (let round = 0; round < 20; round++) {
    const before = full.held;
    const eachEnd = micros(1000, () => {
      const flight = flights.shift()!;
      flight.firstToken(200);
      flight.finish(done);
    });
    placings.push((eachEnd * 1000) / (before - full.held));
    ordinary.push(steady(spare, spareFlights));
  }
  const placing = median(placings.slice(4));
  const withoutWaiting = median(ordinary.slice(4));
  return [
    `| CPU time, ${endpoints} endpoints, ${tenants} tenants in 3 priorities | µs |`,
    '|---|---:|',
    `| added to a request that does not wait | ${added.toFixed(1)} |`,
    `| queue alone, ${waiting.toLocaleString('en')} waiting: in | ${into.toFixed(1)} |`,
    `| queue alone: out in turn, and charged | ${out.toFixed(1)} |`,
    `| whole dispatch: a request comes and waits behind up to ${held.toLocaleString('en')} | ${arriving.toFixed(1)} |`,
    `| whole dispatch: one ends, the next are tried, scheduled, recorded and placed | ${placing.toFixed(1)} |`,
    `| the same where nobody waits: a request is scheduled, recorded, placed and ends | ${withoutWaiting.toFixed(1)} |`,
    `| what waiting adds to a placing: the queue, and those tried in vain | ${(placing - withoutWaiting).toFixed(1)} |`,
    '',
    `Memory for each that waits, beside its body: ${(each / 1024).toFixed(1)} KiB; bodies are bounded by \`maxBytes\`.`,
  ];
}

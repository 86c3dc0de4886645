/**
 * How a fleet's costs grow with its endpoints, and what choosing in two levels costs: `npm run bench:scale`.
 * Measured as far as one fleet goes; 10,000 endpoints are 20 fleets of 500 behind a choice of cluster.
 */
import { wallClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import { Dispatch } from '../src/dispatch/dispatch.ts';
import { Fleet } from '../src/fleet/fleet.ts';
import { readGauges } from '../src/fleet/gauges/gauges.ts';
import { PrometheusText } from '../src/fleet/gauges/prometheus-text.ts';
import { prefixKeyOf, type PrefixKey } from '../src/fleet/prefix-index/prefix-key.ts';
import { PrefixIndex } from '../src/fleet/prefix-index/prefix-index.ts';
import { Journal } from '../src/journal/journal.ts';
import { presetPolicy } from '../src/scheduler/presets.ts';
import type { SchedulingRequest } from '../src/scheduler/request.ts';
import { encodeBatch, readBatch } from '../src/sharing/batch.ts';
import { Outbox } from '../src/sharing/outbox.ts';
import { Peers } from '../src/sharing/peers.ts';

const decisions = 1000;
const seed = { low: 1, high: 2 };

/** Microseconds of CPU that one of `count` takes. */
function microseconds(count: number, step: (at: number) => void): number {
  for (let at = 0; at < Math.min(count, 200); at++) step(at);
  const before = process.cpuUsage();
  for (let at = 0; at < count; at++) step(at);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

function keyOf(text: string): PrefixKey {
  return prefixKeyOf({ model: 'm', cacheSalt: null, bytes: Buffer.from(text) }, seed);
}

const opening = (session: number): string => `Session ${session}. ${`Rules of session ${session}. `.repeat(300)}`;

function fleetOf(endpoints: number): { fleet: Fleet; dispatch: Dispatch } {
  const fleet = new Fleet({ prefixSeed: seed });
  for (let at = 0; at < endpoints; at++) {
    const name = `decode-${at}`;
    fleet.setModels(fleet.add({ name, address: `10.0.${at >> 8}.${at & 255}:8000`, labels: {} }), [{ id: 'm' }]);
  }
  const policy = presetPolicy('least-added-wait');
  const journal = new Journal(1024 * 1024);
  return { fleet, dispatch: new Dispatch({ clock: wallClock, random: seededRandom(1), fleet, journal, policy }) };
}

function requestOf(id: number, key: PrefixKey): SchedulingRequest {
  return {
    ...{ requestId: `${id}`, model: 'm', kind: 'chat', streaming: true, promptTokens: Math.round(key.promptBytes / 4) },
    ...{ maxOutputTokens: 100, sessionEndpoint: null, headers: {} },
  };
}

function place(dispatch: Dispatch, id: number, key: PrefixKey): void {
  dispatch.place(requestOf(id, key), key, {
    placed: (flight) => {
      flight.firstToken(200);
      flight.finish({ status: 200, complete: true, promptTokens: null, cachedTokens: null, completionTokens: 10 });
    },
    refused: (error) => {
      throw error;
    },
  });
}

const metrics = [
  'vllm:num_requests_running{model_name="m"} 3',
  'vllm:num_requests_waiting{model_name="m"} 1',
  'vllm:kv_cache_usage_perc{model_name="m"} 0.5',
  'vllm:cache_config_info{block_size="16",num_gpu_blocks="20000"} 1',
];
// As long as a real one: mostly histograms.
for (let at = 0; at < 450; at++)
  metrics.push(`vllm:some_seconds_bucket{le="${at}",model_name="m",engine="0"} ${at * 7}`);
const scrape = metrics.join('\n');
const keys = Array.from({ length: 64 }, (_, session) => keyOf(opening(session)));
const row = (cells: readonly string[]): void => void process.stdout.write(`| ${cells.join(' | ')} |\n`);

row([
  'Endpoints',
  'Decision, µs CPU',
  'Heap and arrays, MiB',
  'Scraping, ms CPU a round',
  'Told in full, KiB',
  'Heard in full, µs CPU',
]);
row(['---:', '---:', '---:', '---:', '---:', '---:']);
for (const endpoints of [10, 100, 500, 1000, 2000, 4000]) {
  const memory = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  globalThis.gc?.();
  const before = memory();
  const { fleet, dispatch } = fleetOf(endpoints);
  const decision = microseconds(Math.min(decisions, 400_000 / endpoints), (at) => place(dispatch, at, keys[at % 64]!));
  const bytes = memory() - before;
  const scraping = microseconds(200, (at) =>
    fleet.setGauges(at % endpoints, readGauges(new PrometheusText(scrape))!, wallClock.nowMs()),
  );
  // Each has something on its way.
  for (const slot of fleet.slots) {
    fleet.place({ model: 'm', streaming: true, promptTokens: 1000 }, keys[0]!, slot, 0, wallClock.nowMs());
  }
  const outbox = new Outbox(fleet, null);
  const header = { from: 'a', start: '', atMs: 0, to: null };
  const told = encodeBatch(header, outbox.take(wallClock.nowMs(), true)!);
  const peers = new Peers('b', fleetOf(endpoints).fleet, null);
  const heard = microseconds(50, () => peers.heard(header, readBatch(told)!.open(), wallClock.nowMs()));
  row([
    ...[
      String(endpoints),
      decision.toFixed(0),
      (bytes / 2 ** 20).toFixed(1),
      ((scraping * endpoints) / 1000).toFixed(1),
    ],
    ...[(told.length / 1024).toFixed(0), heard.toFixed(0)],
  ]);
}

/** What of a cluster is known where clusters are chosen: which blocks are anywhere in it, and its least wait. */
const clusters = 20;
const perCluster = 500;
const summaries = new PrefixIndex();
const members = Array.from({ length: clusters }, () => fleetOf(perCluster));
const least = new Float64Array(clusters);
for (const [cluster, { dispatch }] of members.entries()) {
  for (let at = cluster; at < 64; at += clusters) {
    summaries.confirm(keys[at]!.hashes, cluster);
    place(dispatch, at, keys[at]!);
  }
}
const runs = new Float64Array(clusters);
function clusterFor(key: PrefixKey): number {
  summaries.longestRuns(key.hashes, runs);
  let best = 0;
  let bestSeconds = Infinity;
  for (let cluster = 0; cluster < clusters; cluster++) {
    const seconds = least[cluster]! + (key.hashes.low.length - runs[cluster]!) * 0.001;
    if (seconds < bestSeconds) [best, bestSeconds] = [cluster, seconds];
  }
  return best;
}
const first = microseconds(20_000, (at) => void clusterFor(keys[at % 64]!));
const both = microseconds(1000, (at) => place(members[clusterFor(keys[at % 64]!)]!.dispatch, at, keys[at % 64]!));
const told = 8 * keys[0]!.hashes.low.length;
process.stdout.write(`
${clusters} clusters of ${perCluster}: the cluster ${first.toFixed(1)} µs, cluster and endpoint ${both.toFixed(0)} µs CPU; a new prompt of ${keys[0]!.promptBytes} bytes tells a summary ${told} bytes
`);

import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { epp } from './metric-names.ts';

/** The pool as a whole, under the field's names. */
export function poolFamilies(fleet: Fleet, poolName: string): Family[] {
  const labels = { name: poolName };
  const ready = (): number[] => fleet.slots.filter((slot) => fleet.isReady(slot));
  const known = (column: Float64Array): number[] =>
    ready()
      .map((slot) => column[slot]!)
      .filter((value) => !Number.isNaN(value));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = (values: readonly number[]): number => {
    const middle = mean(values);
    return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
  };
  /** Without any known value there is no sample: 0 would say that all are idle. */
  const over = (column: () => Float64Array, value: (values: readonly number[]) => number) => (): Sample[] => [
    { labels, value: value(known(column())) },
  ];
  const [kvUsage, waiting, running] = (['kvUsage', 'waiting', 'running'] as const).map(
    (name) => (): Float64Array => fleet.gauges[name],
  ) as [() => Float64Array, () => Float64Array, () => Float64Array];
  return [
    readAtScrape(epp('ready_endpoints', 'inference_pool_ready_pods'), 'Endpoints that may be given requests.', () => [
      { labels, value: ready().length },
    ]),
    readAtScrape(
      epp('average_kv_cache_utilization', 'inference_pool_average_kv_cache_utilization'),
      'Mean KV-cache use of the ready endpoints, 0..1.',
      over(kvUsage, mean),
    ),
    readAtScrape(epp('std_dev_kv_cache_utilization'), 'Its standard deviation.', over(kvUsage, deviation)),
    readAtScrape(
      epp('average_queue_size', 'inference_pool_average_queue_size'),
      'Mean number of requests waiting at the ready endpoints.',
      over(waiting, mean),
    ),
    readAtScrape(epp('std_dev_queue_size'), 'Its standard deviation.', over(waiting, deviation)),
    readAtScrape(epp('average_running_requests'), 'Mean number of requests running.', over(running, mean)),
    readAtScrape(epp('std_dev_running_requests'), 'Its standard deviation.', over(running, deviation)),
    readAtScrape(
      epp('per_endpoint_queue_size', 'inference_pool_per_pod_queue_size'),
      'Requests waiting at each endpoint, as it says.',
      () =>
        fleet.slots.map((slot) => ({
          labels: { ...labels, model_server_endpoint: fleet.endpointAt(slot)!.name },
          value: fleet.gauges.waiting[slot]!,
        })),
    ),
  ];
}

/** Each endpoint: what the router knows of it. */
export function endpointFamilies(fleet: Fleet): Family[] {
  const each = (label: string, value: (slot: number) => number) => (): Sample[] =>
    fleet.slots.map((slot) => ({ labels: { [label]: fleet.endpointAt(slot)!.name }, value: value(slot) }));
  const gauge = (name: string, help: string, value: (slot: number) => number): Family =>
    readAtScrape([`signalbox_endpoint_${name}`], help, each('endpoint', value));
  const { ledger, gauges, speed, prediction } = fleet;
  const inFlight = (slot: number): number => ledger.inFlight[slot]!;
  return [
    readAtScrape(epp('inflight_requests'), 'Requests sent to it and not ended.', each('endpoint_name', inFlight)),
    readAtScrape(
      epp('inflight_tokens'),
      'Prompt tokens of the requests sent to it and not ended.',
      each('endpoint_name', (slot) => ledger.contextTokens[slot]!),
    ),
    gauge('ready', '1 when the endpoint may be given requests.', (slot) => (fleet.isReady(slot) ? 1 : 0)),
    gauge('inflight_requests', 'Requests sent to it and not ended.', inFlight),
    gauge('queued_prefill_tokens', 'Uncached prompt tokens sent to it and not yet computed.', (slot) =>
      Math.round(ledger.queuedPrefillTokens[slot]!),
    ),
    gauge('waiting_requests', 'Requests waiting there, as it says.', (slot) => gauges.waiting[slot]!),
    gauge('running_requests', 'Requests running there, as it says.', (slot) => gauges.running[slot]!),
    gauge('kv_cache_usage', 'KV-cache use there, 0..1, as it says.', (slot) => gauges.kvUsage[slot]!),
    gauge('cached_tokens', 'Prompt tokens thought to be in its cache.', (slot) => fleet.cachedTokensAt(slot)),
    gauge('cached_blocks', 'Blocks thought to be in its cache.', (slot) => fleet.prefixes.blocksAt(slot)),
    gauge('cache_known_by_events', '1 when its KV events tell all of its cache, 0.5 a part, 0 nothing.', (slot) =>
      fleet.eventKnowledge(slot) === 'complete' ? 1 : fleet.eventKnowledge(slot) === 'partial' ? 0.5 : 0,
    ),
    gauge(
      'prediction_error',
      'Predicted less reported cached tokens as a share of the prompt, without its sign: the mean of late.',
      (slot) => prediction.error[slot]!,
    ),
    gauge(
      'prediction_bias',
      'The same with its sign: above 0 too much was expected.',
      (slot) => prediction.bias[slot]!,
    ),
    readAtScrape(
      ['signalbox_endpoint_kv_events_distrusted_total'],
      'How often predictions by its KV events differed from its reports for so long that what was known was thrown away.',
      each('endpoint', (slot) => fleet.distrusts[slot]!),
      'counter',
    ),
    readAtScrape(
      ['signalbox_endpoint_predicted_cached_tokens_total'],
      'Cached tokens that were predicted, of answers that reported theirs.',
      each('endpoint', (slot) => prediction.predictedTokens[slot]!),
      'counter',
    ),
    readAtScrape(
      ['signalbox_endpoint_reported_cached_tokens_total'],
      'Cached tokens that engines reported.',
      each('endpoint', (slot) => prediction.reportedTokens[slot]!),
      'counter',
    ),
    gauge('speed', 'Learned prefill speed relative to the reference.', (slot) => speed.relative[slot]!),
  ];
}

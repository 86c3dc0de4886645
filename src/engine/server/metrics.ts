import type { EngineModel } from '../model/engine-model.ts';

const secondsBuckets = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const ttftBuckets = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
];
const tokenTimeBuckets = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
];
const tokenBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

class Histogram {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    for (let i = this.bounds.length - 1; i >= 0 && value <= this.bounds[i]!; i--) this.counts[i]! += 1;
  }
}

export class EngineHistograms {
  readonly ttft = new Histogram(ttftBuckets);
  readonly interToken = new Histogram(tokenTimeBuckets);
  readonly timePerOutputToken = new Histogram(tokenTimeBuckets);
  readonly e2e = new Histogram(secondsBuckets);
  readonly promptTokens = new Histogram(tokenBuckets);
  readonly generationTokens = new Histogram(tokenBuckets);
  /** Tokens of requests that have ended. */
  readonly completed = { prompt: 0, generation: 0 };
  readonly succeeded = { stop: 0, length: 0, abort: 0, error: 0, repetition: 0 };
}

interface MetricsOptions {
  readonly loraEnabled: boolean;
  readonly modelName: string;
  readonly legacyNames: boolean;
  /** Caches kept for others and never fetched; null without a connector. */
  readonly expiredTransfers: number | null;
}

/** `/metrics` under vLLM 0.32's names; `legacyNames` adds those of releases before 0.11. */
export function renderMetrics(
  model: EngineModel,
  histograms: EngineHistograms,
  { modelName, legacyNames, expiredTransfers, loraEnabled }: MetricsOptions,
): string {
  const lines: string[] = [];
  const labels = `engine="0",model_name="${modelName.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const family = (name: string, type: string, help: string): number =>
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  const sample = (name: string, value: number, more = ''): number =>
    lines.push(`${name}{${labels}${more}} ${float(value)}`);
  const one = (name: string, type: string, help: string, value: number): void => {
    family(name, type, help);
    sample(name, value);
  };
  const histogram = (name: string, help: string, { bounds, counts, sum, count }: Histogram): void => {
    family(name, 'histogram', help);
    bounds.forEach((bound, i) => sample(`${name}_bucket`, counts[i]!, `,le="${float(bound)}"`));
    sample(`${name}_bucket`, count, ',le="+Inf"');
    sample(`${name}_count`, count);
    sample(`${name}_sum`, sum);
  };
  const { totals, cache } = model;
  const { completed } = histograms;

  one('vllm:num_requests_running', 'gauge', 'Number of requests in model execution batches.', model.running);
  one('vllm:num_requests_waiting', 'gauge', 'Number of requests waiting to be processed.', model.waiting);
  family('vllm:num_requests_waiting_by_reason', 'gauge', 'Number of waiting requests by reason.');
  sample('vllm:num_requests_waiting_by_reason', model.waiting - model.receiving, ',reason="capacity"');
  sample('vllm:num_requests_waiting_by_reason', model.receiving, ',reason="deferred"');
  family('vllm:engine_sleep_state', 'gauge', 'Engine sleep state.');
  for (const state of ['awake', 'weights_offloaded', 'discard_all']) {
    sample('vllm:engine_sleep_state', state === 'awake' ? 1 : 0, `,sleep_state="${state}"`);
  }
  one('vllm:kv_cache_usage_perc', 'gauge', 'KV-cache usage. 1 means 100 percent usage.', cache.usage);
  one('vllm:prefix_cache_queries_total', 'counter', 'Prefix cache queries, in tokens.', totals.prefixQueryTokens);
  one('vllm:prefix_cache_hits_total', 'counter', 'Prefix cache hits, in tokens.', totals.prefixHitTokens);
  if (legacyNames) {
    one('vllm:gpu_cache_usage_perc', 'gauge', 'GPU KV-cache usage. 1 means 100 percent usage.', cache.usage);
    one('vllm:gpu_prefix_cache_queries_total', 'counter', 'GPU prefix cache queries.', totals.prefixQueryTokens);
    one('vllm:gpu_prefix_cache_hits_total', 'counter', 'GPU prefix cache hits.', totals.prefixHitTokens);
  }
  if (loraEnabled) {
    family('vllm:lora_requests_info', 'gauge', 'Running stats on lora requests.');
    const names = (state: 'running' | 'waiting'): string =>
      [...model.lorasOf(state)].join(',').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
    lines.push(
      `vllm:lora_requests_info{max_lora="${model.maxLoras}",running_lora_adapters="${names('running')}",` +
        `waiting_lora_adapters="${names('waiting')}"} ${Date.now() / 1000}`,
    );
  }
  one('vllm:num_preemptions_total', 'counter', 'Cumulative number of preemptions.', totals.preemptions);
  one('vllm:prompt_tokens_total', 'counter', 'Number of prefill tokens processed.', completed.prompt);
  family('vllm:prompt_tokens_by_source_total', 'counter', 'Number of prompt tokens by source.');
  const sources = {
    local_compute: totals.prefixQueryTokens - totals.prefixHitTokens - totals.receivedTokens,
    local_cache_hit: totals.prefixHitTokens,
    external_kv_transfer: totals.receivedTokens,
  };
  for (const [source, value] of Object.entries(sources))
    sample('vllm:prompt_tokens_by_source_total', value, `,source="${source}"`);
  if (expiredTransfers !== null) {
    one('vllm:external_prefix_cache_hits_total', 'counter', 'External cache hits, in tokens.', totals.receivedTokens);
    one('vllm:nixl_num_kv_expired_reqs_total', 'counter', 'Requests whose KV expired unfetched.', expiredTransfers);
  }
  one('vllm:prompt_tokens_cached_total', 'counter', 'Number of cached prompt tokens.', totals.prefixHitTokens);
  one('vllm:generation_tokens_total', 'counter', 'Number of generation tokens processed.', completed.generation);
  family('vllm:request_success_total', 'counter', 'Count of successfully processed requests.');
  for (const [reason, value] of Object.entries(histograms.succeeded)) {
    lines.push(
      `vllm:request_success_total{engine="0",finished_reason="${reason}",${labels.slice(11)}} ${float(value)}`,
    );
  }
  histogram('vllm:request_prompt_tokens', 'Number of prefill tokens processed.', histograms.promptTokens);
  histogram('vllm:request_generation_tokens', 'Number of generation tokens processed.', histograms.generationTokens);
  histogram('vllm:time_to_first_token_seconds', 'Histogram of time to first token in seconds.', histograms.ttft);
  histogram('vllm:inter_token_latency_seconds', 'Histogram of inter-token latency in seconds.', histograms.interToken);
  histogram(
    'vllm:request_time_per_output_token_seconds',
    'Histogram of time per output token in seconds.',
    histograms.timePerOutputToken,
  );
  histogram('vllm:e2e_request_latency_seconds', 'Histogram of e2e request latency in seconds.', histograms.e2e);
  family('vllm:cache_config_info', 'gauge', 'Information of the LLMEngine CacheConfig');
  lines.push(
    `vllm:cache_config_info{block_size="${model.blockSize}",cache_dtype="auto",` +
      `enable_prefix_caching="${cache.prefixCaching ? 'True' : 'False'}",engine="0",` +
      `kv_cache_size_tokens="${cache.blockCount * model.blockSize}",num_gpu_blocks="${cache.blockCount}",` +
      `prefix_caching_hash_algo="sha256"} 1.0`,
  );
  return `${lines.join('\n')}\n`;
}

/** Python's way of writing a float. */
function float(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

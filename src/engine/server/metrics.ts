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

/** One engine's numbers. */
interface RankMetrics {
  readonly model: EngineModel;
  readonly histograms: EngineHistograms;
}

/** `/metrics` under vLLM 0.32's names, a series per data-parallel rank; `legacyNames` adds those before 0.11. */
export function renderMetrics(ranks: readonly RankMetrics[], options: MetricsOptions): string {
  const { legacyNames, expiredTransfers, loraEnabled } = options;
  const modelName = options.modelName.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  const lines: string[] = [];
  const family = (name: string, type: string, help: string): number =>
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  const sample = (rank: number, name: string, value: number, more = ''): number =>
    lines.push(`${name}{engine="${rank}",model_name="${modelName}"${more}} ${float(value)}`);
  /** A family of one value, or of several by a label, for each rank. */
  const values = (
    name: string,
    type: string,
    help: string,
    of: (rank: RankMetrics) => number | Readonly<Record<string, number>>,
    label = '',
  ): void => {
    family(name, type, help);
    ranks.forEach((rank, index) => {
      const found = of(rank);
      if (typeof found === 'number') sample(index, name, found);
      else for (const [key, value] of Object.entries(found)) sample(index, name, value, `,${label}="${key}"`);
    });
  };
  const histogram = (name: string, help: string, of: (histograms: EngineHistograms) => Histogram): void => {
    family(name, 'histogram', help);
    ranks.forEach(({ histograms }, index) => {
      const { bounds, counts, sum, count } = of(histograms);
      bounds.forEach((bound, i) => sample(index, `${name}_bucket`, counts[i]!, `,le="${float(bound)}"`));
      sample(index, `${name}_bucket`, count, ',le="+Inf"');
      sample(index, `${name}_count`, count);
      sample(index, `${name}_sum`, sum);
    });
  };
  const queries = ({ model }: RankMetrics): number => model.totals.prefixQueryTokens;
  const hits = ({ model }: RankMetrics): number => model.totals.prefixHitTokens;
  const received = ({ model }: RankMetrics): number => model.totals.receivedTokens;
  const usage = ({ model }: RankMetrics): number => model.cache.usage;

  const running = 'Number of requests in model execution batches.';
  values('vllm:num_requests_running', 'gauge', running, ({ model }) => model.running);
  values(
    'vllm:num_requests_waiting',
    'gauge',
    'Number of requests waiting to be processed.',
    ({ model }) => model.waiting,
  );
  values(
    'vllm:num_requests_waiting_by_reason',
    'gauge',
    'Number of waiting requests by reason.',
    ({ model }) => ({ capacity: model.waiting - model.receiving, deferred: model.receiving }),
    'reason',
  );
  const awake = { awake: 1, weights_offloaded: 0, discard_all: 0 };
  values('vllm:engine_sleep_state', 'gauge', 'Engine sleep state.', () => awake, 'sleep_state');
  values('vllm:kv_cache_usage_perc', 'gauge', 'KV-cache usage. 1 means 100 percent usage.', usage);
  values('vllm:prefix_cache_queries_total', 'counter', 'Prefix cache queries, in tokens.', queries);
  values('vllm:prefix_cache_hits_total', 'counter', 'Prefix cache hits, in tokens.', hits);
  if (legacyNames) {
    values('vllm:gpu_cache_usage_perc', 'gauge', 'GPU KV-cache usage. 1 means 100 percent usage.', usage);
    values('vllm:gpu_prefix_cache_queries_total', 'counter', 'GPU prefix cache queries.', queries);
    values('vllm:gpu_prefix_cache_hits_total', 'counter', 'GPU prefix cache hits.', hits);
  }
  if (loraEnabled) {
    family('vllm:lora_requests_info', 'gauge', 'Running stats on lora requests.');
    const { model } = ranks[0]!;
    const names = (state: 'running' | 'waiting'): string =>
      [...model.lorasOf(state)].join(',').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
    lines.push(
      `vllm:lora_requests_info{max_lora="${model.maxLoras}",running_lora_adapters="${names('running')}",` +
        `waiting_lora_adapters="${names('waiting')}"} ${Date.now() / 1000}`,
    );
  }
  values(
    'vllm:num_preemptions_total',
    'counter',
    'Cumulative number of preemptions.',
    ({ model }) => model.totals.preemptions,
  );
  values(
    'vllm:prompt_tokens_total',
    'counter',
    'Number of prefill tokens processed.',
    ({ histograms }) => histograms.completed.prompt,
  );
  values(
    'vllm:prompt_tokens_by_source_total',
    'counter',
    'Number of prompt tokens by source.',
    (rank) => ({
      local_compute: queries(rank) - hits(rank) - received(rank),
      local_cache_hit: hits(rank),
      external_kv_transfer: received(rank),
    }),
    'source',
  );
  if (expiredTransfers !== null) {
    values('vllm:external_prefix_cache_hits_total', 'counter', 'External cache hits, in tokens.', received);
    values(
      'vllm:nixl_num_kv_expired_reqs_total',
      'counter',
      'Requests whose KV expired unfetched.',
      () => expiredTransfers,
    );
  }
  values('vllm:prompt_tokens_cached_total', 'counter', 'Number of cached prompt tokens.', hits);
  values(
    'vllm:generation_tokens_total',
    'counter',
    'Number of generation tokens processed.',
    ({ histograms }) => histograms.completed.generation,
  );
  family('vllm:request_success_total', 'counter', 'Count of successfully processed requests.');
  ranks.forEach(({ histograms }, index) => {
    for (const [reason, value] of Object.entries(histograms.succeeded)) {
      lines.push(
        `vllm:request_success_total{engine="${index}",finished_reason="${reason}",model_name="${modelName}"} ${float(value)}`,
      );
    }
  });
  histogram('vllm:request_prompt_tokens', 'Number of prefill tokens processed.', (all) => all.promptTokens);
  histogram('vllm:request_generation_tokens', 'Number of generation tokens processed.', (all) => all.generationTokens);
  histogram('vllm:time_to_first_token_seconds', 'Histogram of time to first token in seconds.', (all) => all.ttft);
  histogram(
    'vllm:inter_token_latency_seconds',
    'Histogram of inter-token latency in seconds.',
    (all) => all.interToken,
  );
  histogram(
    'vllm:request_time_per_output_token_seconds',
    'Histogram of time per output token in seconds.',
    (all) => all.timePerOutputToken,
  );
  histogram('vllm:e2e_request_latency_seconds', 'Histogram of e2e request latency in seconds.', (all) => all.e2e);
  family('vllm:cache_config_info', 'gauge', 'Information of the LLMEngine CacheConfig');
  ranks.forEach(({ model: { cache, blockSize } }, index) =>
    lines.push(
      `vllm:cache_config_info{block_size="${blockSize}",cache_dtype="auto",` +
        `enable_prefix_caching="${cache.prefixCaching ? 'True' : 'False'}",engine="${index}",` +
        `kv_cache_size_tokens="${cache.blockCount * blockSize}",num_gpu_blocks="${cache.blockCount}",` +
        `prefix_caching_hash_algo="sha256"} 1.0`,
    ),
  );
  return `${lines.join('\n')}\n`;
}

/** Python's way of writing a float. */
function float(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

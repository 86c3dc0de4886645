interface Sample {
  /** With their braces; empty where there are none. */
  readonly labels: string;
  readonly value: number;
}

/** What is read of engines' pages. */
const names = [
  'process_start_time_seconds',
  'vllm:num_requests_waiting',
  'vllm:num_requests_running',
  'vllm:kv_cache_usage_perc',
  'vllm:gpu_cache_usage_perc',
  'vllm:cache_config_info',
  'vllm:lora_requests_info',
  'sglang:num_queue_reqs',
  'sglang:num_running_reqs',
  'sglang:token_usage',
  'sglang:max_total_num_tokens',
  'llamacpp:requests_deferred',
  'llamacpp:requests_processing',
  'llamacpp:kv_cache_usage_ratio',
] as const;
export type MetricName = (typeof names)[number];

/** One search for all of them: a page is some 50 KB, of which searches for one name after the other read all each time. */
const lines = new RegExp(String.raw`^(${names.join('|')})(\{.*\})?[ \t]+(\S+)`, 'gm');

/** What a page in Prometheus' text format says of the metrics that are read. */
export class PrometheusText {
  readonly #samples = new Map<string, Sample[]>();

  constructor(text: string) {
    for (const [, name, labels = '', value] of text.matchAll(lines)) {
      const sample = { labels, value: value === '+Inf' ? Infinity : Number(value) };
      const others = this.#samples.get(name!);
      if (others === undefined) this.#samples.set(name!, [sample]);
      else others.push(sample);
    }
  }

  /** Whether any of what is read begins like that. */
  hasAny(prefix: string): boolean {
    for (const name of this.#samples.keys()) if (name.startsWith(prefix)) return true;
    return false;
  }

  /** Values of one metric, one per label set. */
  samples(name: MetricName): readonly Sample[] {
    return this.#samples.get(name) ?? [];
  }

  /** Sum over label sets; NaN when the metric is not there. */
  sum(name: MetricName): number {
    const all = this.samples(name);
    return all.length === 0 ? NaN : all.reduce((total, { value }) => total + value, 0);
  }

  /** Mean over label sets; NaN when the metric is not there. */
  mean(name: MetricName): number {
    const all = this.samples(name);
    return all.reduce((total, { value }) => total + value, 0) / all.length;
  }
}

/** The first of several numbers that is known. */
export function firstKnown(...values: readonly number[]): number {
  return values.find((value) => !Number.isNaN(value)) ?? NaN;
}

import type { Gauges } from './gauges.ts';
import type { PrometheusText } from './prometheus-text.ts';

/** llama.cpp's server with `--metrics`. Only old builds say how full the cache is. */
export function llamaCppGauges(page: PrometheusText): Gauges {
  return {
    waiting: page.sum('llamacpp:requests_deferred'),
    running: page.sum('llamacpp:requests_processing'),
    kvUsage: page.sum('llamacpp:kv_cache_usage_ratio'),
    kvCapacityTokens: NaN,
  };
}

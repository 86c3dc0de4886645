import type { Gauges } from './gauges.ts';
import { sum } from './prometheus-text.ts';

/** llama.cpp's server with `--metrics`. Only old builds say how full the cache is. */
export function llamaCppGauges(text: string): Gauges | null {
  if (!text.includes('llamacpp:')) return null;
  return {
    waiting: sum(text, 'llamacpp:requests_deferred'),
    running: sum(text, 'llamacpp:requests_processing'),
    kvUsage: sum(text, 'llamacpp:kv_cache_usage_ratio'),
    kvCapacityTokens: NaN,
  };
}

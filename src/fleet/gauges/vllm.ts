import type { Gauges } from './gauges.ts';
import { firstKnown, mean, sum } from './prometheus-text.ts';

/** vLLM; `gpu_cache_usage_perc` is the name up to 0.10. Data-parallel engines are label sets: counts add up. */
export function vllmGauges(text: string): Gauges | null {
  if (!text.includes('vllm:')) return null;
  return {
    waiting: sum(text, 'vllm:num_requests_waiting'),
    running: sum(text, 'vllm:num_requests_running'),
    kvUsage: firstKnown(mean(text, 'vllm:kv_cache_usage_perc'), mean(text, 'vllm:gpu_cache_usage_perc')),
  };
}

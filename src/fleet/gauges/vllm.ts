import type { Gauges } from './gauges.ts';
import { firstKnown, mean, samples, sum } from './prometheus-text.ts';

/** vLLM; `gpu_cache_usage_perc` is the name up to 0.10. Data-parallel engines are label sets: counts add up. */
export function vllmGauges(text: string): Gauges | null {
  if (!text.includes('vllm:')) return null;
  return {
    waiting: sum(text, 'vllm:num_requests_waiting'),
    running: sum(text, 'vllm:num_requests_running'),
    kvUsage: firstKnown(mean(text, 'vllm:kv_cache_usage_perc'), mean(text, 'vllm:gpu_cache_usage_perc')),
    kvCapacityTokens: capacityTokens(text),
  };
}

/** From the labels of `cache_config_info`, which has one series per data-parallel engine. */
function capacityTokens(text: string): number {
  const engines = samples(text, 'vllm:cache_config_info').map(({ labels }) => {
    const label = (name: string): number => Number(new RegExp(`[{,]${name}="(\\d+)"`).exec(labels)?.[1] ?? NaN);
    return label('num_gpu_blocks') * label('block_size');
  });
  return engines.length === 0 ? NaN : engines.reduce((sum, tokens) => sum + tokens, 0);
}

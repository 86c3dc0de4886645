import type { Loras } from '../../scheduler/view.ts';
import type { Gauges } from './gauges.ts';
import { firstKnown, type PrometheusText } from './prometheus-text.ts';

/** vLLM; `gpu_cache_usage_perc` is the name up to 0.10. Data-parallel engines are label sets: counts add up. */
export function vllmGauges(page: PrometheusText): Gauges {
  const loras = lorasOf(page);
  return {
    waiting: page.sum('vllm:num_requests_waiting'),
    running: page.sum('vllm:num_requests_running'),
    kvUsage: firstKnown(page.mean('vllm:kv_cache_usage_perc'), page.mean('vllm:gpu_cache_usage_perc')),
    kvCapacityTokens: capacityTokens(page),
    ...(loras === null ? {} : { loras }),
  };
}

/** From the labels of `cache_config_info`, which has one series per data-parallel engine. */
function capacityTokens(page: PrometheusText): number {
  const engines = page.samples('vllm:cache_config_info').map(({ labels }) => {
    const label = (name: string): number => Number(new RegExp(`[{,]${name}="(\\d+)"`).exec(labels)?.[1] ?? NaN);
    return label('num_gpu_blocks') * label('block_size');
  });
  return engines.length === 0 ? NaN : engines.reduce((sum, tokens) => sum + tokens, 0);
}

/** The value is the time at which it was so: what was before stays on the page for ever. */
function lorasOf(page: PrometheusText): Loras | null {
  const latest = page
    .samples('vllm:lora_requests_info')
    .reduce<{ labels: string; value: number } | null>(
      (last, sample) => (last === null || sample.value > last.value ? sample : last),
      null,
    );
  if (latest === null) return null;
  const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(latest.labels)?.[1] ?? '';
  const names = (text: string): string[] =>
    text.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]));
  return {
    running: names(label('running_lora_adapters')),
    waiting: names(label('waiting_lora_adapters')),
    most: Number(label('max_lora')) || 0,
  };
}

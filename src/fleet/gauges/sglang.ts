import type { Gauges } from './gauges.ts';
import { mean, samples } from './prometheus-text.ts';

/** SGLang with `--enable-metrics`. The series with an empty `priority` is the total; others would count twice. */
export function sglangGauges(text: string): Gauges | null {
  if (!text.includes('sglang:')) return null;
  const total = (name: string): number => {
    const all = samples(text, name).filter(({ labels }) => !/priority="[^"]/.test(labels));
    return all.length === 0 ? NaN : all.reduce((added, { value }) => added + value, 0);
  };
  return {
    waiting: total('sglang:num_queue_reqs'),
    running: total('sglang:num_running_reqs'),
    kvUsage: mean(text, 'sglang:token_usage'),
    kvCapacityTokens: total('sglang:max_total_num_tokens'),
  };
}

import type { Gauges } from './gauges.ts';
import type { MetricName, PrometheusText } from './prometheus-text.ts';

/** SGLang with `--enable-metrics`. The series with an empty `priority` is the total; others would count twice. */
export function sglangGauges(page: PrometheusText): Gauges {
  const total = (name: MetricName): number => {
    const all = page.samples(name).filter(({ labels }) => !/priority="[^"]/.test(labels));
    return all.length === 0 ? NaN : all.reduce((added, { value }) => added + value, 0);
  };
  return {
    waiting: total('sglang:num_queue_reqs'),
    running: total('sglang:num_running_reqs'),
    kvUsage: page.mean('sglang:token_usage'),
    kvCapacityTokens: total('sglang:max_total_num_tokens'),
  };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGauges } from '../../src/fleet/gauges/gauges.ts';
import { PrometheusText } from '../../src/fleet/gauges/prometheus-text.ts';

test('vLLM: counts of data-parallel ranks add up, cache use is their mean', () => {
  const text = `# HELP vllm:num_requests_running x
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a}b"} 3.0
vllm:num_requests_running{engine="1",model_name="a"} 1.0
vllm:num_requests_waiting{engine="0"} 2.0
vllm:num_requests_waiting_by_reason{reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0"} 0.5
vllm:kv_cache_usage_perc{engine="1"} 0.7
`;
  assert.deepEqual(readGauges(new PrometheusText(text)), {
    waiting: 2,
    running: 4,
    kvUsage: 0.6,
    kvCapacityTokens: NaN,
  });
});

test('vLLM before 0.11 calls the cache by another name', () => {
  assert.equal(readGauges(new PrometheusText('vllm:gpu_cache_usage_perc{a="b"} 0.25\n'))?.kvUsage, 0.25);
});

test('vLLM: adapters are those of the newest series, whatever else is left on the page', () => {
  const metrics = `vllm:num_requests_running 1
vllm:lora_requests_info{max_lora="2",running_lora_adapters="",waiting_lora_adapters=""} 1.7954228586933916e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="lora-b,lora-a",waiting_lora_adapters="lora-c"} 1.7954228599718425e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="lora-a",waiting_lora_adapters="lora-a"} 1.7954228559803863e+09
`;
  assert.deepEqual(readGauges(new PrometheusText(metrics))?.loras, {
    running: ['lora-b', 'lora-a'],
    waiting: ['lora-c'],
    most: 2,
  });
});

test('SGLang: series by priority are parts of the total, not more', () => {
  const text = `sglang:num_queue_reqs{model_name="m",priority=""} 5.0
sglang:num_queue_reqs{model_name="m",priority="1"} 5.0
sglang:num_running_reqs{model_name="m"} 7.0
sglang:token_usage{model_name="m"} 0.3
`;
  assert.deepEqual(readGauges(new PrometheusText(text)), {
    waiting: 5,
    running: 7,
    kvUsage: 0.3,
    kvCapacityTokens: NaN,
  });
});

test('llama.cpp does not say how full its cache is', () => {
  const gauges = readGauges(new PrometheusText('llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n'));
  assert.deepEqual(gauges, { waiting: 1, running: 2, kvUsage: NaN, kvCapacityTokens: NaN });
});

test('a page of something else is none of ours', () => {
  assert.equal(readGauges(new PrometheusText('go_goroutines 7\n')), null);
});

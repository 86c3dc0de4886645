import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGauges } from '../../src/fleet/gauges/gauges.ts';
import { PrometheusText } from '../../src/fleet/gauges/prometheus-text.ts';
import { PrefixIndex } from '../../src/fleet/prefix-index/prefix-index.ts';

const prompt = (first: number, blocks: number) => ({
  low: Uint32Array.from({ length: blocks }, (_, i) => first + i),
  high: new Uint32Array(blocks),
});

function runOf(index: PrefixIndex, slot: number, hashes: ReturnType<typeof prompt>): number {
  const runs = new Float64Array(2);
  index.longestRuns(hashes, runs);
  return runs[slot]!;
}

test('blocks that an engine must have evicted by now are forgotten, those used since are kept', () => {
  const index = new PrefixIndex();
  index.setCapacity(0, 1600);
  const kept = prompt(1, 20);
  const lost = prompt(1000, 20);
  index.confirm(kept, 0, 16);
  index.confirm(lost, 0, 16);
  index.confirm(lost, 1, 16);
  for (let i = 0; i < 10; i++) {
    index.confirm(prompt(10_000 + i * 100, 20), 0, 16);
    index.confirm(kept, 0, 16);
  }
  assert.equal(runOf(index, 0, kept), 20);
  assert.equal(runOf(index, 0, lost), 0);
  assert.equal(runOf(index, 1, lost), 20, 'a slot of unknown capacity keeps what fits into the index');
});

test('the capacity is read from vLLM and SGLang', () => {
  const vllm =
    'vllm:cache_config_info{block_size="16",cache_dtype="auto",num_cpu_blocks="None",num_gpu_blocks="17187"} 1.0\n';
  assert.equal(readGauges(new PrometheusText(vllm))?.kvCapacityTokens, 16 * 17187);
  assert.ok(Number.isNaN(readGauges(new PrometheusText('vllm:num_requests_running 1\n'))?.kvCapacityTokens));
  assert.equal(
    readGauges(new PrometheusText('sglang:max_total_num_tokens{model_name="m"} 5000\n'))?.kvCapacityTokens,
    5000,
  );
});

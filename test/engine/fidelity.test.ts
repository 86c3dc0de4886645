import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { EngineModel } from '../../src/engine/model/engine-model.ts';
import { EngineRun } from '../../src/engine/model/engine-run.ts';
import { hardwareProfile } from '../../src/engine/model/profiles.ts';
import { repository } from '../support/command.ts';

interface Recorded {
  request_id: string;
  input_toks: number;
  output_toks: number;
  arrival_time: number;
  queued_ts: number;
  first_token_ts: number;
  last_token_ts: number;
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

test('a recorded run of real vLLM on an RTX 4090 is reproduced: TPOT and E2E within 5 %, TTFT within 10 %', () => {
  const file = join(repository, 'testdata/ground-truth/RTX4090_Llama-3.1-8B.requests.jsonl.gz');
  const recorded = gunzipSync(readFileSync(file))
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded);

  const profile = hardwareProfile('llama31-8b-rtx4090');
  const clock = new VirtualClock();
  const model = new EngineModel(profile, { blockSize: 16 });
  const firstMs = new Map<string, number>();
  const lastMs = new Map<string, number>();
  const run = new EngineRun(model, clock, ({ produced }) => {
    for (const { id, generated, finished } of produced) {
      if (generated === 1) firstMs.set(id, clock.nowMs());
      if (finished) lastMs.set(id, clock.nowMs());
    }
  });
  const start = recorded[0]!.queued_ts;
  const queuedMs = new Map(recorded.map((each) => [each.request_id, (each.queued_ts - start) * 1000]));
  for (const { request_id: id, input_toks: promptTokens, output_toks: maxOutputTokens } of recorded) {
    clock.after(queuedMs.get(id)!, () => {
      model.submit({ id, promptTokens, maxOutputTokens, blockHashes: [] }, clock.nowMs());
      run.wake();
    });
  }
  clock.run(() => lastMs.size < recorded.length);

  const ours = recorded.map(({ request_id: id, output_toks: outputTokens }) => {
    const ttft = (firstMs.get(id)! - queuedMs.get(id)!) / 1000;
    const e2e = (lastMs.get(id)! - queuedMs.get(id)!) / 1000;
    return { ttft, e2e, tpot: (e2e - ttft) / (outputTokens - 1) };
  });
  const real = recorded.map((each) => {
    const ttft = each.first_token_ts - each.queued_ts;
    const e2e = each.last_token_ts - each.queued_ts;
    return { ttft, e2e, tpot: (e2e - ttft) / (each.output_toks - 1) };
  });
  const error = (key: 'ttft' | 'e2e' | 'tpot'): number =>
    mean(ours.map((each) => each[key])) / mean(real.map((each) => each[key])) - 1;
  const errors = { ttft: error('ttft'), tpot: error('tpot'), e2e: error('e2e') };
  const shown = JSON.stringify(errors);
  assert.ok(Math.abs(errors.tpot) < 0.05, shown);
  assert.ok(Math.abs(errors.e2e) < 0.05, shown);
  assert.ok(Math.abs(errors.ttft) < 0.1, shown);
  assert.ok(model.totals.preemptions > 50, 'the run saturates the cache');
});

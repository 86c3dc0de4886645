import type { VirtualClock } from '../../src/base/virtual-clock.ts';
import { EngineModel } from '../../src/engine/model/engine-model.ts';
import { EngineRun } from '../../src/engine/model/engine-run.ts';
import type { HardwareProfile } from '../../src/engine/model/profiles.ts';
import type { Probe, Streamed } from '../../src/replay/calibration/probe.ts';

interface Stream {
  readonly startMs: number;
  firstMs: number;
  lastMs: number;
  longestGapMs: number;
  readonly end: (streamed: Streamed) => void;
}

/** The engine model on a virtual clock, as calibration sees it: what its probe would see by HTTP, without the noise. */
export function virtualProbe(profile: HardwareProfile, clock: VirtualClock): Probe {
  const blockSize = 16;
  const model = new EngineModel(profile, { blockSize });
  const streams = new Map<string, Stream>();
  let count = 0;
  const run = new EngineRun(model, clock, ({ produced }) => {
    const nowMs = clock.nowMs();
    for (const { id, generated, finished } of produced) {
      const stream = streams.get(id);
      if (stream === undefined) continue;
      if (generated === 1) stream.firstMs = nowMs;
      else stream.longestGapMs = Math.max(stream.longestGapMs, nowMs - stream.lastMs);
      stream.lastMs = nowMs;
      if (finished) stream.end({ ...stream, tokens: generated });
    }
  });
  return {
    facts: () => Promise.resolve({ model: 'm', maxModelTokens: 131_072 }),
    metrics: () =>
      Promise.resolve(
        [
          `vllm:cache_config_info{block_size="${blockSize}",num_gpu_blocks="${model.cache.blockCount}"} 1`,
          `vllm:num_requests_running ${model.running}`,
          `vllm:num_requests_waiting ${model.waiting}`,
        ].join('\n'),
      ),
    stream: (_model, promptTokens, maxOutputTokens, signal) =>
      new Promise((resolve, reject) => {
        const id = `${count++}`;
        signal?.addEventListener('abort', () => {
          model.abort(id);
          reject(new Error('aborted'));
        });
        const startMs = clock.nowMs();
        streams.set(id, { startMs, firstMs: NaN, lastMs: NaN, longestGapMs: 0, end: resolve });
        clock.after(profile.apiOverheadMs, () => {
          if (signal?.aborted === true) return;
          model.submit({ id, promptTokens, blockHashes: [], maxOutputTokens }, clock.nowMs());
          run.wake();
        });
      }),
  };
}

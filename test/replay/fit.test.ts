import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineModel } from '../../src/engine/model/engine-model.ts';
import { hardwareProfiles, stepMs } from '../../src/engine/model/profiles.ts';
import type { HardwareProfile } from '../../src/engine/model/profiles.ts';
import { fitSteps } from '../../src/replay/calibration/fit.ts';
import type { Observation } from '../../src/replay/calibration/fit.ts';

/** What calibration would see of the engine model, on a clock without noise. */
function observe(profile: HardwareProfile): Observation[] {
  const engine = (): EngineModel => new EngineModel({ ...profile, kvCacheTokens: 300_000 }, { blockSize: 16 });
  const prefillMs = (model: EngineModel, promptTokens: number): { totalMs: number; longestMs: number } => {
    model.submit({ id: 'prompt', promptTokens, blockHashes: [], maxOutputTokens: 1 }, 0);
    let totalMs = 0;
    let longestMs = 0;
    for (let isDone = false; !isDone;) {
      const ms = model.startStep(totalMs)!;
      totalMs += ms;
      longestMs = Math.max(longestMs, ms);
      isDone = model.finishStep(totalMs).produced.some(({ id }) => id === 'prompt');
    }
    return { totalMs, longestMs };
  };
  const prefills = [32, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16_384, 32_768].map((promptTokens) => ({
    kind: 'prefill' as const,
    promptTokens,
    ms: profile.apiOverheadMs + prefillMs(engine(), promptTokens).totalMs,
  }));
  const decodes = [
    [1, 96],
    [1, 16_400],
    [8, 96],
    [32, 96],
    [64, 96],
    [16, 4100],
  ].map(([sequences = 0, contextTokens = 0]) => {
    const work = { tokens: sequences, sequences, prefillAttention: 0, decodeContext: sequences * contextTokens };
    return { kind: 'decode' as const, sequences, contextTokens, ms: stepMs(profile.step, work) };
  });
  const beside = engine();
  beside.submit({ id: 'answer', promptTokens: 64, blockHashes: [], maxOutputTokens: 1000 }, 0);
  beside.startStep(0);
  beside.finishStep(0);
  const { longestMs } = prefillMs(beside, 32_768);
  return [...prefills, ...decodes, { kind: 'interruption', promptTokens: 32_768, ms: longestMs }];
}

for (const profile of Object.values(hardwareProfiles)) {
  test(`recovers ${profile.name} from what can be seen of it`, () => {
    const fit = fitSteps(observe(profile));
    assert.equal(fit.maxNumBatchedTokens, profile.maxNumBatchedTokens);
    assert.ok(fit.worstError < 0.02, `worst error ${fit.worstError}`);
    for (const name of ['perToken', 'perPrefillAttention', 'perDecodeContext'] as const) {
      const ratio = fit.step[name] / profile.step[name];
      assert.ok(Math.abs(ratio - 1) < 0.1, `${name}: ${fit.step[name]} for ${profile.step[name]}`);
    }
    for (const work of [
      { tokens: 48, sequences: 48, prefillAttention: 0, decodeContext: 48 * 3000 },
      { tokens: 700, sequences: 10, prefillAttention: 690 * 2000, decodeContext: 9 * 1000 },
      { tokens: 2048, sequences: 1, prefillAttention: 2048 * 20_000, decodeContext: 0 },
    ]) {
      const ratio = stepMs(fit.step, work) / stepMs(profile.step, work);
      assert.ok(Math.abs(ratio - 1) < 0.05, `step of ${work.tokens} tokens: ${ratio}`);
    }
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEngineServer } from '../../src/engine/server/engine-server.ts';
import { hardwareProfile, stepMs } from '../../src/engine/model/profiles.ts';
import { calibrate } from '../../src/replay/calibration/calibrate.ts';
import { SignalboxError } from '../../src/base/errors.ts';

const options = {
  model: null,
  apiKey: null,
  name: 'measured',
  kvCacheTokens: null,
  maxNumSeqs: null,
  seed: 1,
  repeats: 2,
};

test('measures a simulated engine and finds its profile again', async () => {
  const truth = hardwareProfile('llama31-8b-h100');
  const engine = await startEngineServer({ model: 'm', profile: truth.name, port: 0, maxNumSeqs: 96 });
  try {
    const { profile } = await calibrate({ ...options, url: `http://127.0.0.1:${engine.port}` });
    assert.equal(profile.maxNumSeqs, 96);
    assert.equal(profile.maxNumBatchedTokens, truth.maxNumBatchedTokens);
    assert.ok(Math.abs(profile.kvCacheTokens / truth.kvCacheTokens - 1) < 0.01);
    for (const work of [
      { tokens: 32, sequences: 32, prefillAttention: 0, decodeContext: 32 * 2000 },
      { tokens: 8192, sequences: 1, prefillAttention: 8192 * 4096, decodeContext: 0 },
    ]) {
      const ratio = stepMs(profile.step, work) / stepMs(truth.step, work);
      assert.ok(Math.abs(ratio - 1) < 0.1, `step of ${work.tokens} tokens: ${ratio} of the truth`);
    }
  } finally {
    await engine.close();
  }
});

test('says who is not there, and that there is no such model', async () => {
  const isEnvironment = (pattern: RegExp) => (error: unknown) =>
    error instanceof SignalboxError && error.code === 'environment' && pattern.test(error.message);
  await assert.rejects(calibrate({ ...options, url: 'http://127.0.0.1:1' }), isEnvironment(/Nothing answers/));
  const engine = await startEngineServer({ model: 'm', port: 0 });
  try {
    const url = `http://127.0.0.1:${engine.port}`;
    await assert.rejects(calibrate({ ...options, url, model: 'other' }), isEnvironment(/does not serve "other"/));
  } finally {
    await engine.close();
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { hardwareProfile, stepMs } from '../../src/engine/model/profiles.ts';
import { calibrate } from '../../src/replay/calibration/calibrate.ts';
import { virtualProbe } from '../support/virtual-probe.ts';

const options = { model: null, name: 'measured', kvCacheTokens: null, maxNumSeqs: null, repeats: 1 };

/** Lets the clock jump on whenever everybody waits for it. */
async function onVirtualTime<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  void work.catch(() => {}).finally(() => (isDone = true));
  for (;;) {
    await setImmediate();
    if (isDone) return work;
    let steps = 1;
    assert.ok(
      clock.run(() => steps-- > 0),
      'it waits for something that will not come',
    );
  }
}

for (const name of ['llama31-8b-h100', 'llama32-3b-l40s', 'llama31-8b-rtx4090']) {
  test(`finds ${name} again from an engine that has it, on a clock without noise`, async () => {
    const truth = { ...hardwareProfile(name), maxNumSeqs: 96 };
    const clock = new VirtualClock();
    const { profile, fit } = await onVirtualTime(clock, calibrate(virtualProbe(truth, clock), clock, options));
    assert.equal(profile.maxNumSeqs, 96);
    assert.equal(profile.maxNumBatchedTokens, truth.maxNumBatchedTokens);
    assert.ok(Math.abs(profile.kvCacheTokens / truth.kvCacheTokens - 1) < 0.01);
    assert.ok(fit.worstError < 0.03, `worst error ${fit.worstError}`);
    for (const work of [
      { tokens: 32, sequences: 32, prefillAttention: 0, decodeContext: 32 * 2000 },
      { tokens: 8192, sequences: 1, prefillAttention: 8192 * 4096, decodeContext: 0 },
    ]) {
      const ratio = stepMs(profile.step, work) / stepMs(truth.step, work);
      assert.ok(Math.abs(ratio - 1) < 0.1, `step of ${work.tokens} tokens: ${ratio} of the truth`);
    }
  });
}

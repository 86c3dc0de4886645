import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { contenders, prefillDecodeScenario } from '../../bench/prefill-decode-scenario.ts';
import { preparePolicy } from '../../src/replay/policies.ts';
import { runScenario } from '../../src/replay/scenario.ts';
import { readTrace } from '../../src/traffic/trace/read.ts';
import { repository } from '../support/command.ts';

/** A short piece of bench/prefill-decode.md, which has the whole: more load than the fleet can take. */
test('at 2.5 times the recorded rate splitting by cost is not behind splitting always, nor never', async () => {
  const trace = await readTrace('mooncake-conversation');
  const shares: number[] = [];
  for (const { policy, roles } of contenders) {
    const name = policy.endsWith('.yaml') ? join(repository, policy) : policy;
    await preparePolicy(name);
    const scenario = prefillDecodeScenario({ rate: 2.5, seed: 1, sessions: 500, roles });
    shares.push(runScenario(scenario, trace, name).result.inSlo);
  }
  const [ours, ...others] = shares;
  assert.ok(ours! >= Math.max(...others) - 0.01, shares.join(' '));
});

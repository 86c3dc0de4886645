import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eppFullLog, eppFullLogFiles } from '../../scripts/write-epp-full-log.ts';
import { repository } from '../support/command.ts';

test('the example logs are what the code writes now (else: node scripts/write-epp-full-log.ts)', () => {
  for (const [path, text] of Object.entries(eppFullLogFiles())) {
    assert.equal(readFileSync(join(repository, path), 'utf8'), text, path);
  }
});

test("the walkthrough's 26 records, in its order", () => {
  const records = eppFullLog() as { msg: string; level: string; logger?: string }[];
  assert.deepEqual(
    records.map(({ level, logger, msg }) => [level, logger, msg].filter((part) => part !== undefined).join(' | ')),
    [
      'Level(-4) | LLM request assembled',
      'Level(-4) | PD | Disagregated prefill/decode disabled - scheduling to decode worker only',
      'Level(-4) | Scheduling a request',
      'Level(-4) | Before running filter plugins',
      'Level(-4) | Running filter plugin',
      'Level(-4) | Filter plugin result',
      'Level(-4) | After running filter plugins',
      'Level(-4) | Before running scorer plugins',
      'Level(-4) | Running scorer',
      'Level(-4) | After running scorer',
      'Level(-4) | Running scorer',
      'Level(-4) | prefix-aware-scorer | Got pod scores',
      'Level(-4) | prefix-aware-scorer | No scores found for pods',
      'Level(-4) | After running scorer',
      'Level(-4) | Running scorer',
      'Level(-4) | After running scorer',
      'Level(-4) | After running scorer plugins',
      'Level(-4) | Before running picker plugin',
      'Level(-4) | Selecting a pod with the max score from 2 candidates',
      'Level(-4) | Selecting a random pod from 2 candidates',
      'Level(-4) | After running picker plugin',
      'Level(-4) | Running post-schedule plugin',
      'info | prefix-aware-scorer | PostResponse called',
      'Level(-2) | Request handled',
      'Level(-4) | LLM response assembled',
      'Level(-3) | Response generated',
    ],
  );
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startEngineServer } from '../../src/engine/server/engine-server.ts';
import { stepMs } from '../../src/engine/model/profiles.ts';
import { readProfile } from '../../src/replay/profile-file.ts';
import { runCommand, temporaryFolder } from '../support/command.ts';

/** How exact it is, is for the virtual clock to tell (`test/replay/calibrate.test.ts`): here others use the machine as well. */
test('measures an engine over HTTP and writes a profile that replay reads', async (t) => {
  const engine = await startEngineServer({ model: 'm', profile: 'llama31-8b-h100', port: 0, maxNumSeqs: 96 });
  t.after(() => engine.close());
  const file = join(temporaryFolder(t), 'measured.yaml');
  const run = await runCommand('./signalbox', [
    ...['calibrate', '--endpoint', `http://127.0.0.1:${engine.port}`],
    ...['--repeats', '1', '--output', file],
  ]);
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /\d+ measurements, met within .* %/);
  const profile = readProfile(readFileSync(file, 'utf8'), file);
  assert.equal(profile.summary, 'm, measured');
  assert.ok(profile.maxNumSeqs > 0);
  const prefillMs = [512, 2048, 8192].map((tokens) =>
    stepMs(profile.step, { tokens, sequences: 1, prefillAttention: (tokens * tokens) / 2, decodeContext: 0 }),
  );
  assert.deepEqual(
    [...prefillMs].sort((a, b) => a - b),
    prefillMs,
    'the longer the prompt, the longer it takes',
  );

  const replay = await runCommand('./signalbox', [
    ...['replay', '--trace', 'agent-sessions', '--sessions', '2', '--endpoints', '1', '--profile', file],
    ...['--policy', 'random', '--json'],
  ]);
  assert.equal(replay.status, 0, replay.stderr);
});

test('says who is not there, and that there is no such model', async (t) => {
  const nobody = await runCommand('./signalbox', ['calibrate', '--endpoint', 'http://127.0.0.1:1']);
  assert.deepEqual([nobody.status, /Nothing answers/.test(nobody.stderr)], [1, true], nobody.stderr);
  const engine = await startEngineServer({ model: 'm', port: 0 });
  t.after(() => engine.close());
  const url = `http://127.0.0.1:${engine.port}`;
  const other = await runCommand('./signalbox', ['calibrate', '--endpoint', url, '--model', 'other']);
  assert.deepEqual([other.status, /does not serve "other"/.test(other.stderr)], [1, true], other.stderr);
});

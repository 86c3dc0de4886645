import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repository, runCommand } from '../support/command.ts';
import { startEngine } from '../support/fleet-under-test.ts';
import { kvEventsOn } from '../support/kv-events.ts';

interface Report {
  endpoint: string;
  findings: { check: string; result: string; advice: string | null }[];
}

const doctor = (...more: string[]) => runCommand('./signalbox', ['doctor', ...more], { cwd: repository });
const resultsOf = (stdout: string): Record<string, string> =>
  Object.fromEntries((JSON.parse(stdout) as Report[])[0]!.findings.map(({ check, result }) => [check, result]));

test('a well set-up engine has nothing to complain about', async (t) => {
  const engine = await startEngine(t, { kvEvents: kvEventsOn });
  const { status, stdout, stderr } = await doctor('--endpoint', engine.url, '--json');
  assert.equal(status, 0, stderr + stdout);
  const results = resultsOf(stdout);
  for (const check of [
    'reachable',
    'model',
    'metrics',
    'prefix caching',
    'KV events',
    'replay',
    'tokens',
    'prediction',
  ]) {
    assert.equal(results[check], 'ok', `${check}: ${stdout}`);
  }
});

test('what is off is said, with the flag that turns it on', async (t) => {
  const engine = await startEngine(t, { prefixCaching: false });
  const { status, stdout, stderr } = await doctor('--endpoint', engine.url);
  assert.equal(status, 1);
  assert.match(stdout, /FAIL +prefix caching.*\n.*--enable-prefix-caching/);
  assert.match(stdout, /FAIL +KV events.*\n.*--kv-events-config/);
  assert.match(stderr, /something is not as it should be/);
});

test('an engine that does not answer is told in a line', async () => {
  const { status, stdout } = await doctor('--endpoint', 'http://127.0.0.1:9', '--json');
  assert.equal(status, 1);
  assert.deepEqual(resultsOf(stdout), { reachable: 'fail' });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hardwareProfile } from '../../src/engine/model/profiles.ts';
import { profileYaml } from '../../src/replay/profile-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'replay-command-'));
after(() => rmSync(folder, { recursive: true }));
const trace = join(folder, 'trace.csv');
const header = 'TIMESTAMP,ContextTokens,GeneratedTokens';
const rows = Array.from({ length: 40 }, (_, at) => `2023-11-16 18:00:${String(at).padStart(2, '0')}.0000000,2000,40`);
writeFileSync(trace, [header, ...rows].join('\n'));

function replay(...flags: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const node = [...process.execArgv.filter((flag) => flag.startsWith('--disable-warning')), main];
  return spawnSync(process.execPath, [...node, 'replay', '--trace', trace, ...flags], { encoding: 'utf8' });
}

test('prints one JSON document, and writes the report', () => {
  const report = join(folder, 'report.html');
  const flags = ['--endpoints', '3', '--policy', 'least-added-wait,random', '--json', '--report', report];
  const { status, stdout } = replay(...flags, '--event', '10s 1 slow 0.5', '--slo-ttft', '2');
  assert.equal(status, 0);
  const json = JSON.parse(stdout) as {
    results: { policy: string; completed: number }[];
    slo: object;
    endpoints: number;
  };
  assert.deepEqual(
    json.results.map(({ policy, completed }) => [policy, completed]),
    [
      ['least-added-wait', 40],
      ['random', 40],
    ],
  );
  assert.deepEqual(json.slo, { ttftSeconds: 2, tpotSeconds: 0.06 });
  assert.equal(json.endpoints, 3);
  assert.match(readFileSync(report, 'utf8'), /^<!doctype html>/);
});

test('takes profile files, events from a file, and policies from files', () => {
  const profile = join(folder, 'mine.yaml');
  writeFileSync(profile, profileYaml({ ...hardwareProfile('llama31-8b-h100'), name: 'mine' }, 'measured'));
  const events = join(folder, 'events.yaml');
  writeFileSync(events, 'events:\n  - 5s 0 fail\n  - 15s 0 return\n');
  const policy = fileURLToPath(new URL('../../assets/policies/round-robin.yaml', import.meta.url));
  const flags = ['--profile', `${profile},llama31-8b-a100`, '--event', events, '--policy', policy];
  const { status, stdout } = replay('--endpoints', '2', ...flags);
  assert.equal(status, 0);
  assert.match(stdout, /40 requests over 2 endpoints \(mine, llama31-8b-a100\)/);
});

for (const [flags, status, reason] of [
  [['--policy', 'least-aded-wait'], 1, /no policy "least-aded-wait".*least-added-wait/],
  [['--profile', 'abacus'], 1, /no hardware profile "abacus"/],
  [['--event', 'never 1 fail'], 2, /event "never 1 fail": expected/],
  [['--endpoints', '0'], 2, /whole number from 1/],
  [['--model', 'x'], 1, /only a journal of Decisions/],
] as const) {
  test(`ends with ${status} and the reason for ${flags.join(' ')}`, () => {
    const failed = replay(...flags);
    assert.equal(failed.status, status);
    assert.match(failed.stderr.split('\n')[0] ?? '', reason);
  });
}

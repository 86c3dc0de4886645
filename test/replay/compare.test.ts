import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compare } from '../../src/replay/compare.ts';
import { comparisonJson } from '../../src/replay/json.ts';
import { replayReport } from '../../src/replay/report/report.ts';
import { resultTable } from '../../src/replay/table.ts';
import { scenarioOf } from '../support/scenario.ts';

const folder = mkdtempSync(join(tmpdir(), 'replay-'));
after(() => rmSync(folder, { recursive: true }));
const trace = join(folder, 'trace<b>.jsonl');
writeFileSync(
  trace,
  Array.from({ length: 60 }, (_, at) =>
    JSON.stringify({
      timestamp: at * 700,
      input_length: 2000,
      output_length: 50,
      hash_ids: [at, at + 1, at + 2, at + 3],
    }),
  ).join('\n'),
);
const scenario = scenarioOf(trace, 2);
const policies = ['least-added-wait', 'round-robin', 'random'];

test('policies in processes beside each other give what one process gives, in the order asked for', async () => {
  const options = { scenario, policies, rates: [2, 1], breakingShare: 0.9 };
  const shares: number[] = [];
  const beside = await compare({ ...options, processes: 2, onProgress: (share) => shares.push(share) });
  assert.deepEqual(
    beside.runs.map(({ result }) => result.policy),
    policies,
  );
  assert.deepEqual(
    beside.sweep.map(({ rate }) => rate),
    [1, 2],
  );
  assert.ok(beside.breaking!.every(({ load }) => load !== null && load.rate > 1 && load.inSlo >= 0.9));
  assert.equal(shares.at(-1), 1);
  assert.deepEqual(beside, await compare({ ...options, processes: 1 }));
});

test('a policy that cannot be run fails the comparison in its own words and leaves no process behind', async () => {
  const broken = compare({ scenario, policies: ['random', 'no-such'], rates: [], breakingShare: null, processes: 2 });
  await assert.rejects(broken, /no-such/);
});

test('renderings: JSON for machines, a table, and one page that needs nothing from elsewhere', async () => {
  const comparison = await compare({ scenario, policies, rates: [2], breakingShare: null, processes: 1 });
  const json = JSON.parse(JSON.stringify(comparisonJson(comparison))) as Record<string, unknown>;
  assert.deepEqual(Object.keys(json), ['trace', 'endpoints', 'profile', 'rate', 'seed', 'slo', 'results', 'sweep']);
  assert.match(resultTable(comparison.runs.map(({ result }) => result)), /^policy .*\n(.*\n){3}$/);
  const html = replayReport(comparison);
  assert.doesNotMatch(html, /(src|href)=|https?:|@import|NaN|undefined|trace<b>/);
  for (const policy of policies) assert.ok(html.includes(policy));
});

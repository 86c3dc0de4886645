import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decisionJson } from '../../src/journal/decision-json.ts';
import { Journal } from '../../src/journal/journal.ts';
import { JournalFiles } from '../../src/journal/journal-files.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import type { Decision } from '../../src/scheduler/decision.ts';
import { readTrace } from '../../src/traffic/trace/read.ts';
import { shareTestConfig } from '../scheduler/arbitraries.ts';
import { temporaryFolder } from '../support/command.ts';
import { until } from '../support/fleet-under-test.ts';
import { decide, requestOf, viewOf } from '../support/scheduling.ts';

const policy = policyFromConfig(shareTestConfig, 'test');
const view = viewOf([{ name: 'a' }, { name: 'b' }]);

function ended(journal: Journal, number: number): Decision {
  const decision = decide(policy, requestOf({ requestId: `request-${number}` }), view, number);
  journal.record(decision);
  decision.attempts.push({ endpoint: 'a', status: 200, reason: 'answered' });
  const seen = { promptTokens: 96, cachedTokens: 0, completionTokens: 3, ttftSeconds: 0.1, e2eSeconds: 0.2 };
  decision.outcome = { status: 200, endpoint: 'a', ...seen };
  journal.ended(decision);
  return decision;
}

function linesIn(folder: string): unknown[] {
  const names = readdirSync(folder).sort();
  const text = names.map((name) => readFileSync(join(folder, name), 'utf8')).join('');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]));
}

test('each Decision is a line once it has ended, and replay reads the folder', async (t) => {
  const folder = join(temporaryFolder(t), 'journal');
  const journal = new Journal();
  const files = new JournalFiles(journal, { folder, limitBytes: 1e9, onError: assert.fail });
  const decisions = Array.from({ length: 100 }, (_, i) => ended(journal, i));
  journal.record(decide(policy, requestOf(), view, 1000));
  await files.close();
  assert.deepEqual(linesIn(folder), JSON.parse(JSON.stringify(decisions.map(decisionJson))));
  assert.equal(files.written, 100);
  const trace = await readTrace(folder);
  assert.equal(trace.sessions.length, 100);
});

test('a full file is followed by another, and the oldest go: the limit holds, the newest are there', async (t) => {
  const folder = temporaryFolder(t);
  const journal = new Journal();
  const limitBytes = 400_000;
  const files = new JournalFiles(journal, { folder, limitBytes, onError: assert.fail });
  for (let i = 0; i < 2000; i++) {
    ended(journal, i);
    if (i % 100 === 99) await until(() => files.written === i + 1);
  }
  await files.close();
  const names = readdirSync(folder);
  const bytes = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  assert.ok(names.length > 2);
  // The last batch may go past its file's share.
  assert.ok(bytes <= limitBytes * 1.5 && bytes > limitBytes / 2, `${bytes}`);
  const last = linesIn(folder).at(-1) as { requestId: string };
  assert.equal(last.requestId, 'request-1999');
});

test('a disk that fails costs its Decisions, which are counted, and nothing else; it goes on when it can', async (t) => {
  const folder = join(temporaryFolder(t), 'journal');
  writeFileSync(folder, 'in the way');
  const journal = new Journal();
  const errors: unknown[] = [];
  const files = new JournalFiles(journal, { folder, limitBytes: 1e9, onError: (error) => errors.push(error) });
  for (let i = 0; i < 10; i++) ended(journal, i);
  await until(() => files.dropped === 10);
  ended(journal, 10);
  await until(() => files.dropped === 11);
  assert.equal(errors.length, 1, 'told once');
  rmSync(folder);
  ended(journal, 11);
  await files.close();
  assert.equal(files.written, 1);
});

test('past what it holds for the disk the oldest are dropped', async (t) => {
  const folder = temporaryFolder(t);
  const journal = new Journal(1);
  const files = new JournalFiles(journal, { folder, limitBytes: 1e9, onError: assert.fail });
  const decision = ended(journal, 0);
  for (let i = 1; i <= 20_000; i++) journal.ended({ ...decision, id: `${i}` });
  await files.close();
  assert.equal(files.dropped, 10_001);
  assert.equal(files.written, 10_000);
  const [first] = linesIn(folder) as { id: string }[];
  assert.equal(first!.id, '10001');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal } from '../../src/journal/journal.ts';
import type { Decision } from '../../src/scheduler/decision.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { heldBytes } from '../support/memory.ts';
import { decide, requestOf, viewOf } from '../support/scheduling.ts';
import { shareTestConfig } from '../scheduler/arbitraries.ts';

const policy = policyFromConfig(shareTestConfig, 'test');
const view = viewOf([{ name: 'a' }, { name: 'b' }]);

function decision(number: number, requestId = `request-${number}`): Decision {
  return decide(policy, requestOf({ requestId }), view, number);
}

function filled(count: number, limitBytes?: number): Journal {
  const journal = new Journal(limitBytes);
  for (let number = 1; number <= count; number++) journal.record(decision(number));
  return journal;
}

const ids = (decisions: readonly Decision[]): string[] => decisions.map(({ id }) => id);

test('found by decision id and by request id, of several with one request id the latest', () => {
  const journal = filled(3);
  journal.record(decision(4, 'request-2'));
  assert.equal(journal.find('decision-2')?.requestId, 'request-2');
  assert.equal(journal.find('request-3')?.id, 'decision-3');
  assert.equal(journal.find('request-2')?.id, 'decision-4');
  assert.equal(journal.find('nothing'), null);
});

test('the latest come newest first; those after one come in order', () => {
  const journal = filled(5);
  assert.deepEqual(ids(journal.latest(2)), ['decision-5', 'decision-4']);
  assert.deepEqual(ids(journal.latest(2, 'decision-4')), ['decision-3', 'decision-2']);
  assert.deepEqual(ids(journal.latest(2, 'long gone')), []);
  assert.deepEqual(ids(journal.after('decision-2', 2)), ['decision-3', 'decision-4']);
  assert.deepEqual(ids(journal.after('decision-5', 9)), []);
  assert.deepEqual(ids(journal.after('long gone', 2)), ['decision-1', 'decision-2']);
});

test('the bound in bytes holds; the oldest go and are counted', () => {
  const limitBytes = 40_000;
  const journal = filled(200, limitBytes);
  const { bytes, decisions, dropped, recorded } = journal.sizes;
  assert.ok(bytes <= limitBytes && decisions > 1);
  assert.equal(decisions + dropped, recorded);
  assert.equal(recorded, 200);
  assert.equal(journal.find('decision-1'), null);
  assert.equal(journal.find('request-1'), null);
  assert.equal(journal.latest(1)[0]?.id, 'decision-200');
});

test('a name as long as it likes counts against the bound', () => {
  const journal = new Journal();
  journal.record(decision(1, 'x'.repeat(100_000)));
  assert.ok(journal.sizes.bytes > 200_000);
});

test('watchers hear of decisions and ends until they leave', () => {
  const journal = new Journal();
  const heard: string[] = [];
  const leave = journal.watch({
    decided: ({ id }) => void heard.push(`decided ${id}`),
    ended: ({ id }) => void heard.push(`ended ${id}`),
  });
  const first = decision(1);
  journal.record(first);
  journal.ended(first);
  leave();
  journal.record(decision(2));
  assert.deepEqual(heard, ['decided decision-1', 'ended decision-1']);
});

test('what it says it takes is about what it takes', () => {
  // Shapes and code that come with the first ones are not theirs.
  filled(50);
  const before = heldBytes();
  const journal = filled(2000);
  const takenBytes = heldBytes() - before;
  const ratio = journal.sizes.bytes / takenBytes;
  assert.ok(ratio > 0.8 && ratio < 1.4, `says ${journal.sizes.bytes}, takes ${takenBytes}`);
});

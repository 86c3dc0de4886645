import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger, noOthers } from '../../src/fleet/ledger.ts';

const work = (prefillCost: number, streaming = true) => ({
  promptTokens: 1000,
  uncachedTokens: 800,
  prefillCost,
  streaming,
});

test('the prompt in work counts with what is left of it, those behind it in whole', () => {
  const ledger = new Ledger(1);
  const first = ledger.open(0, work(2), 0);
  ledger.open(0, work(1), 500);
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 1500), 1.5);
  assert.equal(ledger.queuedPrefillSeconds(0, 2, 1500), 4.5, 'twice as slow an engine');
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 9000), 1, 'overdue, and not yet seen: nothing left of it');
  assert.deepEqual(ledger.prefilled(first, 2500), { cost: 2, sinceMs: 0 });
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 2500), 1);
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 3100), 0.4, 'the next began when the first was done');
});

test('prompts of answers that do not stream drain by time, one after another', () => {
  const ledger = new Ledger(1);
  ledger.open(0, work(1, false), 0);
  ledger.open(0, work(1, false), 0);
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 1200), 0.8);
  assert.equal(ledger.queuedPrefillTokens[0], 800);
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 2000), 0);
  assert.equal(ledger.queuedPrefillTokens[0], 0);
});

test('a first token tells that unseen prompts ahead of it are done as well', () => {
  const ledger = new Ledger(1);
  ledger.open(0, work(1, false), 0);
  const streamed = ledger.open(0, work(2), 0);
  assert.deepEqual(ledger.prefilled(streamed, 900), { cost: 3, sinceMs: 0 });
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 900), 0);
  assert.equal(ledger.prefilled(streamed, 1000), null, 'told once');
});

test('counts are exactly zero after every end, in whatever order', () => {
  const ledger = new Ledger(2);
  const entries = [0.1, 0.2, 0.7].map((cost) => ledger.open(1, work(cost), 0));
  assert.equal(ledger.inFlight[1], 3);
  assert.equal(ledger.contextTokens[1], 3000);
  ledger.prefilled(entries[1]!, 10);
  for (const entry of [entries[2]!, entries[0]!, entries[1]!, entries[1]!]) ledger.close(entry, 20);
  assert.equal(ledger.inFlight[1], 0);
  assert.equal(ledger.contextTokens[1], 0);
  assert.equal(ledger.queuedPrefillTokens[1], 0);
  assert.equal(ledger.queuedCost(1), 0);
  assert.equal(ledger.inFlight[0], 0);
});

/** One request of `work(1)`, as it is told to others. */
const told = { inFlight: 1, prefillTokens: 800, prefillCost: 1, contextTokens: 1000 };

test('prompts of other replicas stand in the same queue: one is computed at a time, the oldest first', () => {
  const ledger = new Ledger(1);
  const theirs = { ...noOthers, inFlight: 2, prefillCost: 3, headCost: 2, headPlacedAtMs: 0 };
  ledger.setOthers(0, theirs);
  const ours = ledger.open(0, work(1), 500);
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 1500), 2.5, 'theirs is in work');
  assert.equal(ledger.leftSeconds(ours, 1, 1500), 1, 'ours is not yet');
  ledger.setOthers(0, { ...theirs, inFlight: 1, prefillCost: 1, headCost: 1, headPlacedAtMs: 700, doneAtMs: 2000 });
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 2500), 1.5, 'theirs is done, ours is in work');
  assert.deepEqual(ledger.own(0, 1, 2500), { ...noOthers, ...told, headCost: 1, headPlacedAtMs: 500 });
  assert.deepEqual(ledger.prefilled(ours, 3000), { cost: 1, sinceMs: 2000 });
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 3500), 0.5);
  assert.deepEqual(ledger.own(0, 1, 3500), { ...noOthers, ...told, prefillTokens: 0, prefillCost: 0, doneAtMs: 3000 });
  ledger.setOthers(0, noOthers);
  assert.equal(ledger.queuedPrefillSeconds(0, 1, 3500), 0);
});

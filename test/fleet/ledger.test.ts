import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../src/fleet/ledger.ts';

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
  assert.deepEqual(ledger.prefilled(first, 2500), { cost: 2, seconds: 2.5 });
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
  assert.deepEqual(ledger.prefilled(streamed, 900), { cost: 3, seconds: 0.9 });
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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { guarded, type PluginHealth } from '../../src/configuration/guard.ts';
import { viewOf } from '../../src/configuration/test-kit.ts';
import {
  definePlugin,
  type DeciderDefinition,
  type Progress,
  type ProfileHandlerDefinition,
  type ScorerDefinition,
} from '../../src/scheduler/plugin.ts';
import { seededRandom } from '../../src/base/random.ts';
import { requestOf } from '../support/scheduling.ts';

const about = { summary: 'Tried.', source: 'a test', parameters: z.strictObject({}) };

function standFor(type: string): { health: PluginHealth; said: string[]; report: (text: string) => void } {
  const said: string[] = [];
  const health = { type, file: 'mine.ts', runs: 0, failures: 0, slowRuns: 0, lastFailure: null, off: null };
  return { health, said, report: (text) => void said.push(text) };
}

test('a scorer that takes too much time too often is switched off, loudly, and scores nothing from then on', () => {
  const slow = definePlugin({
    ...about,
    type: 'slow-scorer',
    kind: 'scorer',
    unit: 'share',
    create: () => ({
      score(_cycle, scores) {
        const enough = process.threadCpuUsage().user + 3000; // µs
        while (process.threadCpuUsage().user < enough);
        scores.fill(1);
      },
    }),
  });
  const stand = standFor('slow-scorer');
  const limits = { budgetMs: 1, hangMs: 60_000, slowRuns: 3 };
  const scorer = (guarded(slow, { ...stand, limits }) as ScorerDefinition).create({});
  const view = viewOf([{ name: 'a' }, { name: 'b' }]);
  const cycle = { request: requestOf(), view, candidates: view.eligible, random: seededRandom(1) };
  const run = (): { scores: number[]; skipped: unknown } => {
    const scores = new Float64Array(2);
    let skipped: unknown = null;
    scorer.score(cycle, scores, { column: () => new Float64Array(2), note: (_, value) => (skipped = value) }, null);
    return { scores: [...scores], skipped };
  };
  for (let i = 0; i < 3; i++) assert.deepEqual(run(), { scores: [1, 1], skipped: null });
  const after = run();
  assert.deepEqual(after.scores, [0, 0]);
  assert.match(String(after.skipped), /switched off: 3 runs took longer than 1 ms each/);
  assert.equal(stand.health.runs, 3);
  assert.deepEqual(stand.said.length, 1);
});

test('a decider that throws splits nothing; a handler that throws, or asks for what is not there, runs the first profile', () => {
  const limits = { budgetMs: 1000, hangMs: 60_000, slowRuns: 1000 };
  const decider = definePlugin({
    ...about,
    type: 'odd-decider',
    kind: 'decider',
    create: () => ({
      comparesPicks: false,
      decide: () => {
        throw new Error('no idea');
      },
    }),
  });
  const view = viewOf([{ name: 'a' }]);
  const run = { profile: 'decode', picked: [0], total: 1 };
  const question = { request: requestOf(), view, together: run, decode: run, prefill: null };
  const safe = (guarded(decider, { ...standFor('odd-decider'), limits }) as DeciderDefinition).create({});
  assert.deepEqual(safe.decide(question), { split: false, reason: 'odd-decider was skipped', details: {} });

  const handler = definePlugin({
    ...about,
    type: 'odd-handler',
    kind: 'profile-handler',
    create: () => ({
      next: () => 'nowhere',
      settle: () => ({ serves: 'nowhere', prefills: null, verdict: null }),
    }),
  });
  const stand = standFor('odd-handler');
  const configured = { profiles: ['decode', 'prefill'], deciders: new Map() };
  const guardedHandler = (guarded(handler, { ...stand, limits }) as ProfileHandlerDefinition).create({}, configured);
  const progress = (done: Progress['done']): Progress => ({ request: requestOf(), view, done });
  assert.equal(guardedHandler.next(progress([])), 'decode');
  assert.equal(guardedHandler.next(progress([run])), null);
  assert.deepEqual(guardedHandler.settle(progress([run])), { serves: 'decode', prefills: null, verdict: null });
  assert.equal(stand.health.failures, 3);
});

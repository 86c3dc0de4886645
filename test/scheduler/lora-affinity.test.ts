import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loraAffinityScorer } from '../../src/scheduler/plugins/scorers/lora-affinity-scorer.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Loras } from '../../src/scheduler/view.ts';
import { requestOf, viewOf } from '../support/scheduling.ts';

test('where an adapter runs, where there is room, where it waits, where there is none', () => {
  const loras: (Loras | null)[] = [
    { running: ['mine'], waiting: [], most: 1 },
    { running: ['other'], waiting: [], most: 2 },
    { running: ['other'], waiting: ['mine'], most: 1 },
    { running: ['other'], waiting: ['third'], most: 1 },
    null,
  ];
  const view = { ...viewOf(loras.map((_, i) => ({ name: `e${i}` }))), lorasAt: (slot: number) => loras[slot]! };
  const scores = new Float64Array(loras.length);
  const details = { column: () => new Float64Array(loras.length), note: () => undefined };
  const cycle = { request: requestOf({ model: 'mine' }), view, candidates: view.eligible, random: seededRandom(1) };
  const scorer = loraAffinityScorer.create({});
  scorer.score(cycle, scores, details, undefined);
  assert.deepEqual([...scores], [1, 0.8, 0.6, 0, 0]);
});

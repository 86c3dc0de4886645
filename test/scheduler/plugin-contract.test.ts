import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/base/random.ts';
import type { Cycle, Details } from '../../src/scheduler/plugin.ts';
import { pluginByType, plugins } from '../../src/scheduler/plugins/index.ts';
import type { FleetView } from '../../src/scheduler/view.ts';
import { requestOf, viewOf } from '../support/scheduling.ts';
import { fleets, requests } from './arbitraries.ts';

const folders = {
  filter: 'filters',
  scorer: 'scorers',
  picker: 'pickers',
  'profile-handler': 'profile-handlers',
  decider: 'deciders',
};

function cycleOf(view: FleetView, request: Parameters<typeof requestOf>[0], seed: number): Cycle {
  return { request: requestOf(request), view, candidates: view.eligible, random: seededRandom(seed) };
}

function dataOf(view: FleetView): object {
  const [cachedTokens, prefillSeconds] = [view.cachedTokens(), view.prefillSeconds()];
  return { ...view, cachedTokens, prefillSeconds, prefillShare: view.prefillShare?.() };
}

class Recorded implements Details {
  readonly columns = new Map<string, Float64Array>();
  readonly notes = new Map<string, number | string | null>();
  readonly #length: number;
  constructor(length: number) {
    this.#length = length;
  }
  column(name: string): Float64Array {
    const column = new Float64Array(this.#length);
    this.columns.set(name, column);
    return column;
  }
  note(name: string, value: number | string | null): void {
    this.notes.set(name, value);
  }
}

test('types are unique', () => assert.equal(pluginByType.size, plugins.length));

for (const definition of plugins) {
  const { type, kind } = definition;

  test(`${type}: stands in the file of its name, says what it does, runs without parameters, knows no others`, () => {
    const file = new URL(`../../src/scheduler/plugins/${folders[kind]}/${type}.ts`, import.meta.url);
    assert.ok(existsSync(file), file.pathname);
    assert.match(definition.summary, /^[A-Z].*\.$/);
    assert.ok(definition.source.length > 0);
    assert.ok(definition.parameters.safeParse({}).success);
    assert.ok(!definition.parameters.safeParse({ nonsense: 1 }).success);
  });

  if (kind === 'filter') {
    test(`${type}: keeps, or drops with a reason, and changes nothing`, () => {
      const instance = definition.create(definition.parameters.parse({}));
      fc.assert(
        fc.property(fleets, requests, fc.nat(), (rows, request, seed) => {
          const cycle = cycleOf(viewOf(rows), request, seed);
          const before = structuredClone(dataOf(cycle.view));
          const state = instance.state?.();
          for (const slot of cycle.candidates) {
            const reason = instance.drop(cycle, slot, state);
            assert.ok(reason === null || reason.length > 0);
            assert.equal(instance.drop(cycle, slot, state), reason);
          }
          assert.deepEqual(dataOf(cycle.view), before);
        }),
      );
    });
  }

  if (kind === 'scorer') {
    test(`${type}: one finite number per candidate, in its unit's range, the same again, changing nothing`, () => {
      const instance = definition.create(definition.parameters.parse({}));
      fc.assert(
        fc.property(fleets, requests, fc.nat(), (rows, request, seed) => {
          const view = viewOf(rows);
          const before = structuredClone(dataOf(view));
          const run = (): Float64Array => {
            const cycle = cycleOf(view, request, seed);
            const details = new Recorded(cycle.candidates.length);
            const scores = new Float64Array(cycle.candidates.length).fill(NaN);
            instance.score(cycle, scores, details, instance.state?.());
            return scores;
          };
          const scores = run();
          for (const score of scores) {
            assert.ok(Number.isFinite(score), `${score}`);
            assert.ok(score >= 0 && (definition.unit === 'seconds' || score <= 1), `${score}`);
          }
          assert.deepEqual(run(), scores);
          assert.deepEqual(dataOf(view), before);
        }),
      );
    });
  }

  if (kind === 'picker') {
    test(`${type}: picks candidates, each once, of which the first is among the tied`, () => {
      fc.assert(
        fc.property(fleets, fc.nat(), (rows, seed) => {
          const instance = definition.create(definition.parameters.parse({}));
          const cycle = cycleOf(viewOf(rows), {}, seed);
          if (cycle.candidates.length === 0) return;
          const totals = Float64Array.from(cycle.candidates, (_, i) => (i * 7) % 3);
          const { picked, tied } = instance.pick(cycle, totals, instance.state?.());
          assert.ok(picked.length >= 1 && tied.includes(picked[0]!));
          assert.equal(new Set(picked).size, picked.length);
          for (const slot of [...picked, ...tied]) assert.ok(cycle.candidates.includes(slot));
        }),
      );
    });
  }

  if (kind === 'picker' && (type === 'max-score-picker' || type === 'min-cost-picker')) {
    test(`${type}: picks the best of the candidates and nothing else; ties are all that share the best`, () => {
      const sign = definition.unit === 'seconds' ? -1 : 1;
      fc.assert(
        fc.property(
          fleets,
          fc.array(fc.nat(3), { minLength: 9, maxLength: 9 }),
          fc.integer({ min: 1, max: 3 }),
          fc.nat(),
          (rows, levels, maxNumOfEndpoints, seed) => {
            const instance = definition.create(definition.parameters.parse({ maxNumOfEndpoints }));
            const cycle = cycleOf(viewOf(rows), {}, seed);
            const totals = Float64Array.from(cycle.candidates, (_, i) => levels[i]! / 3);
            const { picked, tied } = instance.pick(cycle, totals, instance.state?.());
            const ranked = [...totals].sort((a, b) => sign * (b - a));
            const totalOf = (slot: number): number => totals[cycle.candidates.indexOf(slot)]!;

            assert.deepEqual(picked.map(totalOf), ranked.slice(0, maxNumOfEndpoints));
            assert.equal(new Set(picked).size, picked.length);
            assert.deepEqual(
              [...tied],
              [...cycle.candidates].filter((slot) => totalOf(slot) === ranked[0]),
            );
          },
        ),
      );
    });
  }
}

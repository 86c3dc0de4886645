import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { parseYaml } from '../../src/base/yaml.ts';
import { configFromEnvironment } from '../../src/compat/llm-d-environment.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { decide, pickedName, requestOf, viewOf } from '../support/scheduling.ts';

const numbers = z.record(z.string(), z.number());

/** A state of the fleet, a request, and the whole trace that is to come of it. */
const scenarioSchema = z.strictObject({
  about: z.string(),
  environment: z.record(z.string(), z.string()),
  lookup: z.enum(['match', 'no match', 'shorter than one block', 'nothing stored yet']).default('no match'),
  endpoints: z.array(
    z.strictObject({
      name: z.string(),
      role: z.string().optional(),
      eligible: z.boolean().optional(),
      inFlight: z.number().optional(),
      queuedPrefillTokens: z.number().optional(),
      waiting: z.number().optional(),
      running: z.number().optional(),
      othersInFlight: z.number().optional(),
      ageMs: z.number().optional(),
      cachedTokens: z.number().optional(),
    }),
  ),
  request: z.strictObject({
    promptTokens: z.number().default(100),
    splittable: z.boolean().default(true),
    sessionEndpoint: z.string().nullable().default(null),
  }),
  expect: z.strictObject({
    dropped: z.record(z.string(), z.string()),
    scores: z.record(z.string(), numbers),
    totals: numbers,
    notes: z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number()]))),
    tied: z.array(z.string()),
    reason: z.string(),
    /** With prefill and decode apart: what was decided, and where the prompt is computed. */
    disaggregation: z
      .strictObject({
        split: z.boolean(),
        reason: z.string(),
        prefill: z.string().nullable(),
        profiles: z.array(z.string()),
      })
      .optional(),
  }),
});

const folder = join(import.meta.dirname, 'scenarios');

for (const file of readdirSync(folder).sort()) {
  const scenario = parseYaml(readFileSync(join(folder, file), 'utf8'), file, scenarioSchema);
  test(`${file}: ${scenario.about}`, () => {
    const policy = policyFromConfig(configFromEnvironment(scenario.environment)!.config, file);
    const view = viewOf(scenario.endpoints, scenario.lookup);
    const decision = decide(policy, requestOf(scenario.request), view, 1);

    const { notes: expectedNotes, disaggregation: expectedSplit, ...expected } = scenario.expect;
    const profile = decision.profiles[decision.primaryProfile]!;
    const nameOf = (index: number): string => decision.candidates[index]!.endpoint;
    const byName = (column: Float64Array): Record<string, number> =>
      Object.fromEntries(Array.from(profile.scored, (index, i) => [nameOf(index), Number(column[i]!.toFixed(4))]));
    const notes = Object.fromEntries(profile.scorers.map((scorer) => [scorer.plugin, scorer.notes]));
    assert.deepEqual(
      {
        dropped: Object.fromEntries(
          profile.filters.flatMap((filter) =>
            filter.dropped.map(({ candidate, reason }) => [nameOf(candidate), reason]),
          ),
        ),
        scores: Object.fromEntries(profile.scorers.map((scorer) => [scorer.plugin, byName(scorer.scores)])),
        totals: byName(profile.totals),
        tied: Array.from(profile.picker.tied, nameOf),
        reason: decision.reason,
      },
      expected,
    );
    for (const [plugin, expectedOfPlugin] of Object.entries(expectedNotes)) {
      assert.deepEqual({ ...notes[plugin], ...expectedOfPlugin }, notes[plugin]);
    }
    const { disaggregation } = decision;
    assert.equal(disaggregation === null, expectedSplit === undefined);
    if (disaggregation !== null) {
      const { split, reason, prefill } = disaggregation;
      const profiles = decision.profiles.map(({ name }) => name);
      assert.deepEqual({ split, reason, prefill: prefill < 0 ? null : nameOf(prefill), profiles }, expectedSplit);
    }
    const picked = pickedName(decision);
    assert.ok(picked === null ? scenario.expect.tied.length === 0 : scenario.expect.tied.includes(picked));
  });
}

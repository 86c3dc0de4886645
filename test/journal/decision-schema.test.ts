import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { decisionSchemaText } from '../../scripts/write-decision-schema.ts';
import { decisionJson } from '../../src/journal/decision-json.ts';
import { decisionSchema, type DecisionJson } from '../../src/journal/decision-schema.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import type { Decision, DecisionInputs } from '../../src/scheduler/decision.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { repository } from '../support/command.ts';
import { decide, requestOf, viewOf } from '../support/scheduling.ts';
import { fleets, requests, shareTestConfig } from '../scheduler/arbitraries.ts';

const path = 'docs/decision.schema.json';
const policies = [
  policyFromConfig(shareTestConfig, 'share'),
  presetPolicy('least-added-wait'),
  presetPolicy('lmetric'),
];

test("the schema's file is the one that the type is made from", async () => {
  assert.equal(readFileSync(join(repository, path), 'utf8'), await decisionSchemaText(), 'run npm run docs');
});

function isNear(shown: number | null | undefined, kept: number): boolean {
  if (Number.isNaN(kept)) return shown === null;
  return typeof shown === 'number' && Math.abs(shown - kept) <= Math.max(1e-12, 1e-15 * Math.abs(kept));
}

/** Every number of the record stands in the JSON where it belongs. */
function checkNumbers(decision: Decision, json: DecisionJson): void {
  for (const [index, { endpoint }] of decision.candidates.entries()) {
    for (const name of Object.keys(decision.inputs) as (keyof DecisionInputs)[]) {
      const kept = decision.inputs[name][index]!;
      assert.ok(isNear(json.inputs[endpoint]![name], kept), `${name} is ${kept}`);
    }
  }
  for (const [at, { scored, scorers, totals }] of decision.profiles.entries()) {
    const shown = json.profiles[at]!;
    for (const [i, index] of scored.entries()) {
      const { endpoint } = decision.candidates[index]!;
      assert.ok(isNear(shown.totals[endpoint], totals[i]!));
      for (const [n, { scores, columns }] of scorers.entries()) {
        assert.ok(isNear(shown.scorers[n]!.scores[endpoint], scores[i]!));
        for (const [name, column] of Object.entries(columns)) {
          const cells = shown.scorers[n]!.details[name] as Record<string, number | null>;
          assert.ok(isNear(cells[endpoint], column[i]!));
        }
      }
    }
  }
}

test('whatever is decided, its JSON is as the schema says, field by field, and holds the numbers of the record', () => {
  const published = z.fromJSONSchema(JSON.parse(readFileSync(join(repository, path), 'utf8')) as never);
  const status = fc.constantFrom(200, 429, 502);
  const seen = fc.option(fc.double({ min: 0, max: 1e5, noNaN: true }));
  const outcomes = fc.record({
    ...{
      status,
      endpoint: fc.option(fc.string()),
      promptTokens: fc.option(fc.nat()),
      cachedTokens: fc.option(fc.nat()),
    },
    ...{ ttftSeconds: seen, e2eSeconds: seen, completionTokens: fc.option(fc.nat()) },
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...policies),
      fleets,
      requests,
      fc.nat(),
      fc.option(outcomes),
      fc.string({ unit: 'binary' }),
      (policy, rows, request, seed, outcome, text) => {
        const named = rows.map((row, index) => ({ ...row, name: `${text}${index}` }));
        const asked = requestOf({ ...request, model: text, requestId: text });
        const decision = decide(policy, asked, viewOf(named), seed);
        decision.attempts.push({ endpoint: text, status: null, reason: text });
        decision.shadow.push({ policy: text, picked: null, ttftSeconds: NaN, cachedTokens: 3 });
        decision.outcome = outcome;
        const json = decisionJson(decision);
        decisionSchema.parse(json);
        published.parse(json);
        checkNumbers(decision, json);
        assert.equal(json.requestId, text);
        assert.deepEqual(json.attempts, decision.attempts);
        assert.equal(json.picked, decision.candidates[decision.picked]?.endpoint ?? null);
      },
    ),
    { numRuns: 200 },
  );
});

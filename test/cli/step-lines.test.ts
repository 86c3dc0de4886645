import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepLines } from '../../src/cli/step-lines.ts';
import { repository } from '../support/command.ts';

const log = readFileSync(join(repository, 'examples/base/epp-full-log.jsonl'), 'utf8');
const all = new StepLines().push(log);

test('the walkthrough request reads as numbered steps, with names and scores and no JSON', () => {
  const lines = all.trimEnd().split('\n');
  assert.match(lines[0]!, /^request 0b6ca1ae-\S+ {2}2025-05-16T18:00:00Z$/);
  assert.match(lines[1]!, /TargetModel: meta-llama\/Llama-3\.2-3B-Instruct, PromptLength: 387/);
  const steps = lines.slice(2);
  assert.equal(steps.length, log.trimEnd().split('\n').length);
  assert.deepEqual(
    steps.map((line) => Number(/^ *(\d+)\. /.exec(line)?.[1])),
    steps.map((_, i) => i + 1),
  );
  assert.ok(
    steps.every((line) => !/[{}"]|\[object/.test(line)),
    all,
  );
  assert.ok(
    steps.some((line) => /After running scorer: scorer load-aware-scorer; weight 1; scores \S+4h8bc 0\.5, /.test(line)),
  );
});

test('cut anywhere, the steps are the same; what is no step passes by', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(log.length), { maxLength: 5 }), (cuts) => {
      const steps = new StepLines();
      const places = [0, ...cuts.toSorted((a, b) => a - b), log.length];
      const parts = places.slice(1).map((end, i) => steps.push(log.slice(places[i], end)));
      assert.equal(parts.join('') + steps.end(), all);
    }),
  );
  assert.equal(new StepLines().push('plain\n{"x":1}\n{not json\n'), 'plain\n{"x":1}\n{not json\n');
});

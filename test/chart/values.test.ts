import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { valuesSchemaText } from '../../scripts/write-values-schema.ts';
import { eppEnvironment } from '../../src/stack/epp-environment.ts';
import { parseValues } from '../../src/stack/values.ts';
import { repository } from '../support/command.ts';

const chart = (file: string): string => readFileSync(join(repository, 'deploy/chart', file), 'utf8');

test("the chart's values are a values file for this machine too, and say what an empty one means", () => {
  const { values } = parseValues(chart('values.yaml'), 'values.yaml');
  const empty = parseValues('', 'empty.yaml').values;
  assert.deepEqual(values.sampleApplication.decode, empty.sampleApplication.decode);
  assert.deepEqual(values.sampleApplication.prefill, empty.sampleApplication.prefill);
  assert.deepEqual(
    { ...values.sampleApplication.model, auth: undefined },
    { ...empty.sampleApplication.model, auth: undefined },
  );
  assert.equal(values.sampleApplication.baseConfigMapRefName, empty.sampleApplication.baseConfigMapRefName);
  assert.deepEqual(eppEnvironment(values), eppEnvironment(empty));
  assert.equal(values.redis.enabled, empty.redis.enabled);
});

test("the chart's schema is the one that values files are read by", async () => {
  assert.equal(chart('values.schema.json'), await valuesSchemaText(), 'run npm run docs');
});

test("the chart asks for the product's own version", () => {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
  assert.match(chart('Chart.yaml'), new RegExp(`^appVersion: ${version}$`, 'm'));
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SignalboxError } from '../../src/base/errors.ts';
import { eppEnvironment } from '../../src/stack/epp-environment.ts';
import { parseValues } from '../../src/stack/values.ts';
import { repository } from '../support/command.ts';

const example = (name: string) => parseValues(readFileSync(`${repository}/examples/${name}`, 'utf8'), name);

function problems(text: string): string[] {
  try {
    parseValues(text, 'my.yaml');
  } catch (error) {
    assert.ok(error instanceof SignalboxError && error.code === 'config_invalid');
    return error.message.split('\n');
  }
  return [];
}

test('every example is valid and says what it is for', () => {
  const switches = (name: string) => {
    const env = eppEnvironment(example(name).values);
    const on = Object.keys(env).filter((key) => /^ENABLE_.*_SCORER$/.test(key) && env[key] === 'true');
    return on.map((key) => `${key} ${env[key.replace('ENABLE_', '') + '_WEIGHT']}`);
  };
  assert.deepEqual(switches('base/prefix-and-load-aware.yaml'), [
    'ENABLE_PREFIX_AWARE_SCORER 2',
    'ENABLE_LOAD_AWARE_SCORER 1',
  ]);
  assert.deepEqual(switches('base/session-and-load-aware.yaml'), [
    'ENABLE_LOAD_AWARE_SCORER 2',
    'ENABLE_SESSION_AWARE_SCORER 3',
  ]);
  assert.deepEqual(switches('no-features/no-features.yaml'), []);
  const { decode, prefill } = example('base/base.yaml').values.sampleApplication;
  assert.deepEqual([decode.replicas, prefill.replicas], [1, 1]);
});

test('an empty file means the defaults', () => {
  const { values, notUsed } = parseValues('', 'empty.yaml');
  assert.equal(values.sampleApplication.model.modelName, 'meta-llama/Llama-3.2-3B-Instruct');
  assert.equal(values.sampleApplication.decode.replicas, 1);
  assert.deepEqual(notUsed, []);
});

test('an unknown key is named with its place and what was probably meant', () => {
  const text = 'sampleApplication:\n  decode:\n    replikas: 2\nmodelservise: {}\n';
  assert.deepEqual(problems(text).sort(), [
    'my.yaml:3:5: unknown key "replikas" in sampleApplication.decode; did you mean "replicas"?',
    'my.yaml:4:1: unknown key "modelservise"; did you mean "modelservice"?',
  ]);
});

test('wrong values are named with their place', () => {
  const at = (text: string) => problems(text).map((line) => line.replace(/: .*/, ''));
  assert.deepEqual(at('sampleApplication: {decode: {replicas: -1}}'), ['my.yaml:1:40']);
  assert.deepEqual(at('sampleApplication:\n  model:\n    modelArtifactURI: llama'), ['my.yaml:3:23']);
  assert.deepEqual(at('sampleApplication:\n  baseConfigMapRefName: basic'), ['my.yaml:2:25']);
  assert.deepEqual(at('gateway:\n  enabled: false'), ['my.yaml:2:12']);
  assert.equal(problems('a: [').length > 0, true);
});

test('a misspelt scheduler switch or value is found before anything starts', () => {
  const override = (entry: string) => `modelservice:\n  epp:\n    defaultEnvVarsOverride:\n      - ${entry}\n`;
  assert.deepEqual(problems(override('{name: ENABLE_LOAD_AWARE_SCORE, value: "true"}')), [
    'my.yaml:4:9: unknown switch ENABLE_LOAD_AWARE_SCORE; did you mean "ENABLE_LOAD_AWARE_SCORER"?',
  ]);
  assert.match(
    problems(override('{name: ENABLE_LOAD_AWARE_SCORER, value: "yes"}'))[0]!,
    /^my.yaml:4:9: .*true or false/,
  );
  assert.match(
    problems(override('{name: A, valueFrom: {fieldRef: {fieldPath: x}}}'))[0]!,
    /valueFrom needs Kubernetes/,
  );
  assert.deepEqual(problems(override('{name: SOME_OTHER, value: 3}')), []);
});

test('the three ways to set the environment are merged by name, the last one wins', () => {
  const { values } = parseValues(
    `modelservice:
  epp:
    defaultEnvVars: [{name: A, value: 1}, {name: B, value: 1}, {name: C, value: 1}]
    defaultEnvVarsOverride: [{name: B, value: 2}, {name: C, value: 2}]
sampleApplication:
  endpointPicker: {env: [{name: C, value: true}]}`,
    'my.yaml',
  );
  assert.deepEqual(eppEnvironment(values), { A: '1', B: '2', C: 'true' });
});

test('what only Kubernetes can use is accepted and named', () => {
  const { notUsed } = parseValues('ingress: {host: a.example}\nredis: {enabled: true, port: 8100}\n', 'my.yaml');
  assert.deepEqual(notUsed, ['ingress', 'redis']);
  assert.deepEqual(parseValues('redis: {enabled: false}', 'my.yaml').notUsed, []);
});

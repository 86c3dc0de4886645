import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { SignalboxError } from '../../src/base/errors.ts';
import { suggest } from '../../src/base/suggest.ts';
import { parseYaml } from '../../src/base/yaml.ts';

const schema = z.strictObject({
  model: z.strictObject({ name: z.string(), role: z.enum(['decode', 'prefill']).default('decode') }),
  ports: z.array(z.strictObject({ port: z.int() })).default([]),
  source: z.union([z.string(), z.strictObject({ uri: z.string() })]).optional(),
});

function issuesOf(text: string): string[] {
  try {
    parseYaml(text, 'values.yaml', schema);
  } catch (error) {
    assert.ok(error instanceof SignalboxError);
    assert.equal(error.code, 'config_invalid');
    return error.message.split('\n');
  }
  return assert.fail('was accepted');
}

test('a valid file comes back typed and with defaults', () => {
  assert.deepEqual(parseYaml('model: { name: a }', 'values.yaml', schema), {
    model: { name: 'a', role: 'decode' },
    ports: [],
  });
});

test('an unknown key is named with its place and a suggestion', () => {
  assert.deepEqual(issuesOf('model:\n  name: a\n  rôle: decode\n  naem: b\nports:\n  - prot: 1\n    port: 2\n'), [
    'values.yaml:3:3: unknown key "rôle" in model; did you mean "role"?',
    'values.yaml:4:3: unknown key "naem" in model; did you mean "name"?',
    'values.yaml:6:5: unknown key "prot" in ports[0]; did you mean "port"?',
  ]);
});

test('a wrong value is named at the value, a missing one at its parent', () => {
  assert.deepEqual(issuesOf('model:\n  role: decoed\n'), [
    'values.yaml:2:3: model.name is missing (string)',
    'values.yaml:2:9: model.role: "decoed" is not known, expected decode, prefill; did you mean "decode"?',
  ]);
});

test('in a union the branch that was meant is explained', () => {
  assert.deepEqual(issuesOf('model: { name: a }\nsource:\n  url: b\n  uri: c\n'), [
    'values.yaml:3:3: unknown key "url" in source; did you mean "uri"?',
  ]);
});

test('text that is no YAML, twice the same key, an alias bomb: a place and one line each', () => {
  assert.match(issuesOf('model: [1, 2\n')[0]!, /^values\.yaml:\d+:\d+: /);
  assert.match(issuesOf('model: { name: a }\nmodel: { name: b }\n')[0]!, /^values\.yaml:2:1: .*unique/);
  const bomb = ['a0: &a0 [x]'];
  for (let level = 1; level < 12; level++)
    bomb.push(
      `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(',')}]`,
    );
  assert.match(issuesOf(bomb.join('\n'))[0]!, /alias/);
  assert.match(issuesOf('')[0]!, /^values\.yaml:1:1: /);
});

test('a file that is no YAML at all is shown in its first places only', () => {
  const prose = Array.from({ length: 40 }, (_, at) => `Line ${at}: a "quoted" word, and: more\n\n| a | b |\n`).join('');
  const issues = issuesOf(prose);
  assert.equal(issues.length, 4);
  assert.match(issues[3]!, /^values\.yaml:\d+:\d+: this and \d+ more are not YAML$/);
  assert.ok(issues.every((issue) => issue.length < 200));
});

test('suggestions are near or none', () => {
  assert.equal(
    suggest('ENABLE_LAOD_AWARE_SCORER', ['ENABLE_LOAD_AWARE_SCORER', 'PD_ENABLED']),
    'ENABLE_LOAD_AWARE_SCORER',
  );
  assert.equal(suggest('zebra', ['prefix', 'load']), null);
});

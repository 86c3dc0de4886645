import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SignalboxError } from '../../src/base/errors.ts';
import { type EndpointPickerConfig, policyFromConfig, readPolicy } from '../../src/scheduler/config.ts';
import { defaultPolicyName } from '../../src/scheduler/default-policy.ts';
import { defaultHoldRule } from '../../src/scheduler/flow-control.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { walkthroughPolicy } from '../support/walkthrough-policy.ts';

const valid = `apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: decode-filter
  - name: prefix
    type: prefix-aware-scorer
    parameters:
      queueThreshold: 16
  - type: load-aware-scorer
schedulingProfiles:
  - name: decode
    plugins:
      - pluginRef: decode-filter
      - pluginRef: prefix
        weight: 2
      - pluginRef: load-aware-scorer
`;

function faults(text: string): string[] {
  try {
    readPolicy(text, 'epp.yaml', 'test');
  } catch (error) {
    assert.ok(error instanceof SignalboxError && error.code === 'config_invalid', String(error));
    return error.message.split('\n');
  }
  return assert.fail('was accepted');
}

test('a configuration is compiled: names, weights, and what it leaves out', () => {
  const policy = readPolicy(valid, 'epp.yaml', 'mine');
  const profile = policy.profiles.get('decode')!;
  assert.equal(policy.name, 'mine');
  assert.deepEqual([...policy.profiles.keys()], ['decode']);
  assert.deepEqual(
    profile.scorers.map(({ plugin, type, weight, unit }) => ({ plugin, type, weight, unit })),
    [
      { plugin: 'prefix', type: 'prefix-aware-scorer', weight: 2, unit: 'share' },
      { plugin: 'load-aware-scorer', type: 'load-aware-scorer', weight: 1, unit: 'share' },
    ],
  );
  assert.equal(profile.picker.type, 'max-score-picker');
  assert.equal(policy.sessions, null);
});

test('a hash is of what decides: the same when a default is spelt out, another with another weight', () => {
  const hashOf = (text: string): string => readPolicy(text, 'epp.yaml', 'test').hash;
  assert.match(hashOf(valid), /^[0-9a-f]{12}$/);
  assert.equal(hashOf(`# a comment\n${valid}`), hashOf(valid));
  assert.equal(
    hashOf(valid.replace('type: load-aware-scorer\n', 'type: load-aware-scorer\n    parameters: { threshold: 128 }\n')),
    hashOf(valid),
  );
  assert.notEqual(hashOf(valid.replace('weight: 2', 'weight: 3')), hashOf(valid));
  assert.notEqual(hashOf(valid.replace('queueThreshold: 16', 'queueThreshold: 17')), hashOf(valid));
});

test('what runs when nothing is configured counts in seconds and holds', () => {
  const policy = presetPolicy(defaultPolicyName);
  const [profile] = policy.profiles.values();
  assert.deepEqual(
    profile!.scorers.map(({ type, unit, weight }) => [type, unit, weight]),
    [
      ['queued-prefill-cost', 'seconds', 1],
      ['own-prefill-cost', 'seconds', 1],
      ['delay-to-others-cost', 'seconds', 0.25],
    ],
  );
  assert.deepEqual(policy.hold, {
    ...defaultHoldRule,
    maxPrefillBacklogSeconds: 3,
    prefillWeight: 9,
    maxRequests: 10_000,
  });
});

const wrong: [string, [from: string, to: string], string[]][] = [
  [
    'an unknown key',
    ['schedulingProfiles:', 'schedulingProfile:'],
    [
      'epp.yaml:1:1: schedulingProfiles is missing (array)',
      'epp.yaml:10:1: unknown key "schedulingProfile"; did you mean "schedulingProfiles"?',
    ],
  ],
  [
    'an unknown type',
    ['- type: load-aware-scorer', '- type: load-awre-scorer'],
    ['epp.yaml:9:11: no plugin of type "load-awre-scorer"; did you mean "load-aware-scorer"?'],
  ],
  [
    'an unknown parameter',
    ['queueThreshold: 16', 'queueTreshold: 16'],
    ['epp.yaml:8:7: unknown key "queueTreshold" in plugins[1].parameters; did you mean "queueThreshold"?'],
  ],
  [
    'a threshold that would divide by zero',
    ['queueThreshold: 16', 'queueThreshold: 0'],
    ['epp.yaml:8:23: plugins[1].parameters.queueThreshold: Too small: expected number to be >0'],
  ],
  [
    'a reference to nothing',
    ['pluginRef: prefix', 'pluginRef: prefx'],
    ['epp.yaml:14:20: no plugin is named "prefx"; did you mean "prefix"?'],
  ],
  [
    'a weight where it means nothing',
    ['pluginRef: decode-filter', 'pluginRef: decode-filter\n        weight: 2'],
    ['epp.yaml:14:17: a filter has no weight'],
  ],
  [
    'a negative weight',
    ['weight: 2', 'weight: -1'],
    ['epp.yaml:15:17: schedulingProfiles[0].plugins[1].weight: Too small: expected number to be >=0'],
  ],
  [
    'the same name twice',
    ['- name: prefix\n    type', '- name: decode-filter\n    type'],
    ['epp.yaml:5:5: a plugin named "decode-filter" is there already'],
  ],
  [
    'another kind',
    ['kind: EndpointPickerConfig', 'kind: EndpointPickrConfig'],
    [
      'epp.yaml:2:7: kind: "EndpointPickrConfig" is not known, expected EndpointPickerConfig; did you mean "EndpointPickerConfig"?',
    ],
  ],
];

for (const [name, [from, to], expected] of wrong) {
  test(`${name} is refused with place and suggestion`, () => {
    assert.ok(valid.includes(from));
    assert.deepEqual(faults(valid.replace(from, to)).sort(), [...expected].sort());
  });
}

test('two faulty plugins are both named at once', () => {
  assert.equal(faults(valid.replaceAll('-aware-scorer\n', '-scorer\n')).length, 2);
});

test('a picker in another unit than the scorers is refused', () => {
  const text = valid
    .replace('  - type: decode-filter\n', '  - type: decode-filter\n  - type: min-cost-picker\n')
    .replace(
      '      - pluginRef: decode-filter\n',
      '      - pluginRef: decode-filter\n      - pluginRef: min-cost-picker\n',
    );
  assert.match(faults(text).join(), /profile "decode" scores in share, but its picker min-cost-picker wants seconds/);
});

test('two profiles need a handler that knows what to do with them', () => {
  const [profile] = walkthroughPolicy.schedulingProfiles;
  const config: EndpointPickerConfig = {
    ...walkthroughPolicy,
    schedulingProfiles: [profile!, { ...profile!, name: 'prefill' }],
  };
  assert.throws(() => policyFromConfig(config, 'two'), /single-profile-handler runs exactly one profile, but 2 are/);
});

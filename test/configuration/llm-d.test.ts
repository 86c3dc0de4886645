import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { llmDNames } from '../../src/compat/llm-d-plugins.ts';
import { OwnPlugins } from '../../src/configuration/own-plugins.ts';
import { readConfig, type ReadConfig } from '../../src/configuration/read-config.ts';
import { loadPolicy } from '../../src/door/policy-source.ts';
import { pluginByType } from '../../src/scheduler/plugins/index.ts';
import { repository } from '../support/command.ts';
import { decide, pickedName, requestOf, viewOf } from '../support/scheduling.ts';

const plugins = new OwnPlugins(() => undefined);
const read = (text: string): Promise<ReadConfig> =>
  readConfig({ text, fileName: 'epp.yaml', name: 'theirs', folder: '.' }, plugins);

const config = (types: readonly string[], refs: string, more = ''): string =>
  `apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n${more}plugins:\n${types.map((type) => `- type: ${type}\n`).join('')}` +
  `schedulingProfiles:\n- name: default\n  plugins:\n${refs}`;

/** What llm-d's guides configure, as far as they are described to us. */
const guides: Record<string, string> = {
  'inference scheduling': config(
    ['queue-scorer', 'kv-cache-utilization-scorer', 'prefix-cache-scorer', 'max-score-picker'],
    '  - {pluginRef: queue-scorer, weight: 2}\n  - {pluginRef: kv-cache-utilization-scorer, weight: 2}\n  - {pluginRef: prefix-cache-scorer, weight: 3}\n  - {pluginRef: max-score-picker}\n',
  ),
  'sticky until saturated': config(
    ['inflight-load-producer', 'approx-prefix-cache-producer', 'prefix-cache-affinity-filter', 'token-load-scorer'],
    '  - pluginRef: prefix-cache-affinity-filter\n  - pluginRef: token-load-scorer\n',
    'featureGates: [haPopulateNonLeaderDatastore=false]\n',
  ),
  'precise prefix cache': config(
    [
      'single-profile-handler',
      'precise-prefix-cache-producer\n  parameters: {speculativeIndexing: true, kvEventsConfig: {zmqEndpoint: "tcp://*:5557"}}',
      'prefix-cache-scorer',
      'kv-cache-utilization-scorer',
      'queue-scorer',
    ],
    '  - {pluginRef: prefix-cache-scorer, weight: 2}\n  - pluginRef: kv-cache-utilization-scorer\n  - pluginRef: queue-scorer\n',
    'dataLayer: {sources: [{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}]}\n',
  ),
  'prefill and decode apart':
    'apiVersion: llm-d.ai/v1\nkind: EndpointPickerConfig\nplugins:\n- type: disagg-headers-handler\n- type: prefill-filter\n- type: decode-filter\n- type: queue-scorer\n- type: prefix-based-pd-decider\n  parameters: {nonCachedTokens: 16}\n' +
    '- type: disagg-profile-handler\n  parameters: {deciders: {prefill: prefix-based-pd-decider}}\nschedulingProfiles:\n- name: prefill\n  plugins:\n  - pluginRef: prefill-filter\n  - pluginRef: queue-scorer\n- name: decode\n  plugins:\n  - pluginRef: decode-filter\n  - pluginRef: queue-scorer\n',
};

for (const [guide, text] of Object.entries(guides)) {
  test(`the configuration of llm-d's guide "${guide}" loads and routes`, async () => {
    const { policy } = await read(text);
    const rows = [
      { name: 'busy', waiting: 5, queuedPrefillTokens: 9000 },
      { name: 'idle', waiting: 0 },
    ];
    assert.equal(pickedName(decide(policy, requestOf(), viewOf(rows), 1)), 'idle');
  });
}

test('what has no effect is said, and what cannot be done is refused with the reason', async () => {
  const { policy, warnings } = await read(
    config(
      ['precise-prefix-cache-scorer', 'by-label-selector\n  parameters: {matchLabels: {a: b}}'],
      '  - pluginRef: precise-prefix-cache-scorer\n  - pluginRef: by-label-selector\n',
      'featureGates: [flowControl, newGate]\nflowControl: {maxBytes: 1Gi, defaultRequestTTL: 60s, enableEviction: true, priorityBands: [{priority: 10, maxRequests: 7, orderingPolicyRef: edf-ordering-policy}]}\nsaturationDetector: {pluginRef: utilization-detector}\n',
    ),
  );
  const { order, maxBytes, bands, defaultBand } = policy.hold!;
  assert.deepEqual([order, maxBytes, bands[0]!.maxRequests], ['earliest-deadline', 1024 ** 3, 7]);
  assert.deepEqual([defaultBand.ttlSeconds, bands[0]!.ttlSeconds], [60, 60]);
  for (const part of [
    'precise-prefix-cache-scorer',
    'by-label-selector',
    'newGate',
    'flowControl.enableEviction',
    'saturationDetector',
  ])
    assert.ok(
      warnings.some((warning) => warning.includes(part)),
      `${part}: ${warnings.join('\n')}`,
    );
  await assert.rejects(
    read(config(['latency-scorer'], '  - pluginRef: latency-scorer\n')),
    /epp\.yaml:4:9: .*latency predictor/,
  );
  await assert.rejects(
    read(config(['queue-scorrer'], '  - pluginRef: queue-scorrer\n')),
    /did you mean "queue-scorer"/,
  );
});

test('without a configuration, and asked to be like llm-d, its defaults decide', async () => {
  const { policy } = await loadPolicy({ environment: {}, compat: 'llm-d' }, plugins);
  const [profile] = policy.profiles.values();
  assert.deepEqual(
    profile!.scorers.map(({ type, weight }) => [type, weight]),
    [
      ['queue-scorer', 2],
      ['kv-cache-utilization-scorer', 2],
      ['prefix-cache-scorer', 3],
    ],
  );
  const rows = [
    { name: 'cached', waiting: 4, cachedTokens: 90 },
    { name: 'idle', waiting: 0 },
    { name: 'busy', waiting: 9, kvUsage: 0.9 },
  ];
  // queue 2 x 5/9 + KV 2 x 1 + prefix 3 x 90/96 = 5.92, against 2 + 2 + 0 and 0 + 0.2 + 0.
  assert.equal(pickedName(decide(policy, requestOf({ promptTokens: 96 }), viewOf(rows), 1)), 'cached');
  const none = await loadPolicy({ environment: {} }, plugins);
  assert.equal(none.policy.name, 'least-added-wait');
});

test('every type of llm-d’s is built, mapped to one that is, needless or refused, and the page says which', () => {
  const page = readFileSync(join(repository, 'docs/coming-from/llm-d.md'), 'utf8');
  for (const [type, fate] of llmDNames.types) {
    assert.ok(!pluginByType.has(type), `${type} is built, so nothing need become of it`);
    if ('as' in fate) assert.ok(pluginByType.has(fate.as), fate.as);
    assert.ok(page.includes(`\`${type}\``), `${type} is missing in the page`);
  }
});

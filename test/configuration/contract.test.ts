import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { OwnPlugins } from '../../src/configuration/own-plugins.ts';
import { contractFaults, keptBy, scoresOf } from '../../src/configuration/test-kit.ts';
import type { DeciderDefinition, PluginDefinition, ScorerDefinition } from '../../src/scheduler/plugin.ts';
import { z } from 'zod';
import { pluginByType, plugins } from '../../src/scheduler/plugins/index.ts';
import { repository } from '../support/command.ts';

const sample: Readonly<Record<string, Record<string, unknown>>> = {
  'header-label-affinity-scorer': { headerName: 'x-rack', labelKey: 'rack' },
};

for (const definition of plugins) {
  test(`${definition.type} keeps the contract that plugins of one's own are held to`, () => {
    const decider = pluginByType.get('always-disagg-pd-decider') as DeciderDefinition;
    const profiles = definition.type === 'single-profile-handler' ? ['decode'] : ['decode', 'prefill'];
    const configured = { profiles, deciders: new Map([['decider', decider.create({})]]) };
    assert.deepEqual(contractFaults(definition, sample[definition.type], configured), []);
  });
}

test("the example's scorer keeps it, and prefers racks that do little", async () => {
  const loaded = await new OwnPlugins((text) => assert.fail(text)).load(
    new Map([['./spread-by-rack.ts', 'config.yaml:6:9']]),
    join(repository, 'examples/plugins'),
  );
  const { definition } = loaded.get('./spread-by-rack.ts')!;
  assert.deepEqual(contractFaults(definition), []);
  const rows = [
    { name: 'a', labels: { rack: '1' }, inFlight: 1 },
    { name: 'b', labels: { rack: '1' }, inFlight: 2 },
    { name: 'c', labels: { rack: '2' } },
  ];
  assert.deepEqual(scoresOf(definition, rows), { a: 0.25, b: 0.25, c: 1 });
});

test('what breaks the contract is named', () => {
  const scorer = (score: number): ScorerDefinition => ({
    type: 'odd-scorer',
    kind: 'scorer',
    unit: 'share',
    summary: 'Odd.',
    source: 'test',
    parameters: z.strictObject({}),
    create: () => ({ score: (_cycle, scores) => void scores.fill(score) }),
  });
  assert.deepEqual(contractFaults(scorer(2)), ['a score of 2 is no share']);
  assert.deepEqual(contractFaults(scorer(NaN)), ['a score of NaN is no share']);
  assert.deepEqual(contractFaults(scorer(1)), []);
});

/* Golden scenarios of llm-d's rules: plain, ties, missing data, a single candidate. */
const scorer = (type: string): PluginDefinition => pluginByType.get(type)!;

test('running-requests-size-scorer and queue-scorer: between least and most; equal is 1; unknown is none', () => {
  for (const [type, column] of [
    ['running-requests-size-scorer', 'running'],
    ['queue-scorer', 'waiting'],
  ] as const) {
    const rows = (...values: (number | undefined)[]): { name: string }[] =>
      values.map((value, at) => ({ name: 'abc'[at]!, [column]: value }));
    assert.deepEqual(scoresOf(scorer(type), rows(0, 5, 10)), { a: 1, b: 0.5, c: 0 });
    assert.deepEqual(scoresOf(scorer(type), rows(4, 4)), { a: 1, b: 1 });
    assert.deepEqual(scoresOf(scorer(type), rows(undefined, 4)), { a: 1, b: 0 });
    assert.deepEqual(scoresOf(scorer(type), rows(7)), { a: 1 });
  }
});

test('prefix-cache-scorer: the part that matches, and with a weight its length', () => {
  const rows = [
    { name: 'half', cachedTokens: 2048 },
    { name: 'cold', cachedTokens: 0 },
  ];
  const request = { promptTokens: 4096 };
  assert.deepEqual(scoresOf(scorer('prefix-cache-scorer'), rows, { request }), { half: 0.5, cold: 0 });
  const parameters = { matchLengthWeight: 0.5 };
  assert.deepEqual(scoresOf(scorer('prefix-cache-scorer'), rows, { request, parameters }), { half: 0.375, cold: 0 });
});

test('header-label-affinity-scorer: equality; without header or label none', () => {
  const rows = [{ name: 'eu', labels: { region: 'eu' } }, { name: 'us', labels: { region: 'us' } }, { name: 'no' }];
  const parameters = { headerName: 'X-Region', labelKey: 'region' };
  const headers = { 'x-region': 'eu' };
  const score = (request: object): object =>
    scoresOf(scorer('header-label-affinity-scorer'), rows, { parameters, request });
  assert.deepEqual(score({ headers }), { eu: 1, us: 0, no: 0 });
  assert.deepEqual(score({ headers: {} }), { eu: 0, us: 0, no: 0 });
});

test('context-length-aware: tighter is better, outside is below 0.3, without a label 0.5', () => {
  const labelled = (name: string, range?: string): object => ({
    name,
    ...(range === undefined ? {} : { labels: { 'llm-d.ai/context-length-range': range } }),
  });
  const rows = [
    labelled('tight', '0-2048'),
    labelled('wide', '0-131072'),
    labelled('other', '8192-131072'),
    labelled('none'),
  ];
  const scores = scoresOf(scorer('context-length-aware'), rows as { name: string }[], {
    request: { promptTokens: 2000 },
  });
  assert.ok(scores['tight']! > scores['wide']! && scores['wide']! >= 0.3, JSON.stringify(scores));
  assert.ok(scores['other']! < 0.3);
  assert.equal(scores['none'], 0.5);
});

test('label-selector-filter: labels and expressions as Kubernetes has them', () => {
  const rows = [{ name: 'a', labels: { gpu: 'h100' } }, { name: 'b', labels: { gpu: 'l40s' } }, { name: 'c' }];
  const kept = (parameters: Record<string, unknown>): string[] =>
    keptBy(scorer('label-selector-filter'), rows, { parameters });
  const gpu = (operator: string, values: string[] = []): object => ({
    matchExpressions: [{ key: 'gpu', operator, values }],
  });
  assert.deepEqual(kept({}), ['a', 'b', 'c']);
  assert.deepEqual(kept({ matchLabels: { gpu: 'h100' } }), ['a']);
  assert.deepEqual(kept({ ...gpu('In', ['h100', 'l40s']) }), ['a', 'b']);
  assert.deepEqual(kept({ ...gpu('NotIn', ['h100']) }), ['b', 'c']);
  assert.deepEqual(kept({ ...gpu('Exists') }), ['a', 'b']);
  assert.deepEqual(kept({ ...gpu('DoesNotExist') }), ['c']);
});

test('utilization-filter: above a limit is out; who does not say stays; all above is all, unless told otherwise', () => {
  const rows = [{ name: 'a', waiting: 9 }, { name: 'b', waiting: 2 }, { name: 'c' }];
  const conditions = [{ metric: 'waiting-queue', maxValue: 5 }];
  const kept = (fleet: { name: string }[], more: object = {}): string[] =>
    keptBy(scorer('utilization-filter'), fleet, { parameters: { conditions, ...more } });
  assert.deepEqual(kept(rows), ['b', 'c']);
  assert.deepEqual(kept(rows.slice(0, 1)), ['a']);
  assert.deepEqual(kept(rows.slice(0, 1), { fallbackOnEmpty: false }), []);
});

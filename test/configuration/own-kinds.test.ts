import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OwnPlugins } from '../../src/configuration/own-plugins.ts';
import { readConfigFile } from '../../src/configuration/read-config.ts';
import { contractFaults } from '../../src/configuration/test-kit.ts';
import { temporaryFolder } from '../support/command.ts';
import { decide, pickedName, requestOf, viewOf } from '../support/scheduling.ts';

const decider = `import { definePlugin, z } from 'signalbox/plugin';

export default definePlugin({
  type: 'long-prompts-decider',
  kind: 'decider',
  summary: 'Splits prompts from a length on.',
  source: 'a test',
  parameters: z.strictObject({ tokens: z.int().default(1000) }),
  create: ({ tokens }) => ({
    comparesPicks: false,
    decide: ({ request: { promptTokens } }) => ({
      split: promptTokens >= tokens,
      reason: promptTokens + ' prompt tokens',
      details: { tokens },
    }),
  }),
});
`;

const handler = `import { definePlugin, z } from 'signalbox/plugin';

export default definePlugin({
  type: 'by-length-handler',
  kind: 'profile-handler',
  summary: 'One profile for short prompts, one for long ones.',
  source: 'a test',
  parameters: z.strictObject({ from: z.int().default(1000) }),
  create({ from }, { profiles: [short, long] }) {
    const profileOf = ({ request }) => (request.promptTokens < from ? short : (long ?? short));
    return {
      next: (progress) => (progress.done.length === 0 ? profileOf(progress) : null),
      settle: (progress) => ({ serves: profileOf(progress), prefills: null, verdict: null }),
    };
  },
});
`;

const roles = [
  { name: 'd', role: 'decode' },
  { name: 'p', role: 'prefill' },
];

test('deciders and profile handlers may be of one’s own as well', async (t) => {
  const folder = temporaryFolder(t);
  const read = async (file: string, text: string): Promise<Awaited<ReturnType<typeof readConfigFile>>['policy']> => {
    writeFileSync(join(folder, file), text);
    return (await readConfigFile(join(folder, file), 'mine', plugins)).policy;
  };
  const plugins = new OwnPlugins((text) => assert.fail(text));
  writeFileSync(join(folder, 'decider.ts'), decider);
  writeFileSync(join(folder, 'handler.ts'), handler);
  const profiles =
    'schedulingProfiles:\n- name: decode\n  plugins:\n  - pluginRef: decode-filter\n- name: prefill\n  plugins:\n  - pluginRef: prefill-filter\n';

  const split = await read(
    'split.yaml',
    'apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: decode-filter\n- type: prefill-filter\n' +
      '- type: ./decider.ts\n  parameters: {tokens: 500}\n- type: disagg-profile-handler\n  parameters: {deciders: {prefill: long-prompts-decider}}\n' +
      profiles,
  );
  const long = decide(split, requestOf({ promptTokens: 500 }), viewOf(roles), 1);
  assert.deepEqual(
    [pickedName(long), long.disaggregation?.split, long.disaggregation?.by, long.disaggregation?.details['tokens']],
    ['d', true, 'long-prompts-decider', 500],
  );
  assert.equal(decide(split, requestOf({ promptTokens: 499 }), viewOf(roles), 1).disaggregation?.split, false);

  const byLength = await read(
    'by-length.yaml',
    'apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: decode-filter\n- type: prefill-filter\n- ./handler.ts\n' +
      profiles,
  );
  assert.equal(pickedName(decide(byLength, requestOf({ promptTokens: 10 }), viewOf(roles), 1)), 'd');
  assert.equal(pickedName(decide(byLength, requestOf({ promptTokens: 5000 }), viewOf(roles), 1)), 'p');

  for (const file of ['./decider.ts', './handler.ts']) {
    const loaded = await plugins.load(new Map([[file, 'here']]), folder);
    assert.deepEqual(contractFaults(loaded.get(file)!.definition), [], file);
  }
});

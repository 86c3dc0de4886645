/** Writes docs/plugins.md from the plugins' own definitions; with `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { PluginDefinition } from '../src/scheduler/plugin.ts';
import { plugins } from '../src/scheduler/plugins/index.ts';
import { root } from './lib/source-files.ts';

const introduction = `# Plugins

<!-- Written by scripts/write-plugin-docs.ts from the definitions in src/scheduler/plugins; change those. -->

A request is placed in one pass: **filters** drop endpoints that may not serve it, **scorers** give each that is left one number, and a
**picker** takes the best total. \`total = Σ weight · score\`. A scorer's unit is \`share\` (0 to 1, more is better) or \`seconds\` (a cost,
less is better); a profile does not mix them. Which plugins run, with which weights and parameters, stands in an EndpointPickerConfig:

\`\`\`yaml
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: decode-filter
  - type: prefix-aware-scorer
    parameters:
      queueThreshold: 64
  - type: load-aware-scorer
  - type: max-score-picker
schedulingProfiles:
  - name: decode
    plugins:
      - pluginRef: decode-filter
      - pluginRef: prefix-aware-scorer
        weight: 2
      - pluginRef: load-aware-scorer
        weight: 1
      - pluginRef: max-score-picker
\`\`\`

given to \`signalbox gateway --config-file FILE\`. The walkthrough's environment switches (\`ENABLE_PREFIX_AWARE_SCORER\` and its
like) are translated to the same form.

Three numbers readers of the original system know, and why they are what they are:

* **0.5 on an idle endpoint** is the load scorer's best score, as it was there. It counts every request on an endpoint, not only those
  in the engine's queue, and counts its own picks at once: nothing herds onto one endpoint between two looks at its metrics.
* **A prefix score is an absolute share** of the prompt. The original stretched what it found to 0…1 between the candidates, so that
  four cached blocks of five could score 0. And a prefix does not beat any load: what is queued on an endpoint is taken off what is
  cached there.
* **What is cached is known apart from what is scored**: switching the prefix scorer off does not stop the bookkeeping, and it runs
  only where it is configured. A prompt counts as cached from the pick on, and no longer if the request fails.

`;

const titles: Record<PluginDefinition['kind'], string> = {
  'profile-handler': 'Profile handlers',
  decider: 'Deciders',
  filter: 'Filters',
  scorer: 'Scorers',
  picker: 'Pickers',
};

interface Schema {
  readonly properties?: Record<
    string,
    { type?: string; enum?: unknown[]; default?: unknown; description?: string; examples?: unknown[] }
  >;
  readonly required?: string[];
}

function parameterRows({ properties = {}, required = [] }: Schema): string[] {
  return Object.entries(properties).map(([name, property]) => {
    const type = property.enum?.map((value) => JSON.stringify(value)).join(', ') ?? property.type ?? '';
    const unset = required.includes(name) ? 'required' : 'none';
    const fallback = property.default === undefined ? unset : `\`${JSON.stringify(property.default)}\``;
    return `| \`${name}\` | ${type} | ${fallback} | ${property.description ?? ''} |`;
  });
}

/** As it may stand in a configuration: its numbers and choices as they are by default, and what a schema gives examples of. */
function example({ type, parameters }: PluginDefinition, { properties = {} }: Schema): string {
  const given = Object.entries(properties).flatMap(([name, { default: value, examples }]) => {
    const shown = examples?.[0] ?? (typeof value === 'object' ? undefined : value);
    return shown === undefined ? [] : [[name, shown] as const];
  });
  const entry = { type, ...(given.length === 0 ? {} : { parameters: Object.fromEntries(given) }) };
  parameters.parse(entry.parameters ?? {});
  const yaml = stringify([entry], { lineWidth: 0 }).trimEnd();
  return given.length === 0 ? '' : `\n\n\`\`\`yaml\n${yaml}\n\`\`\``;
}

function section(definition: PluginDefinition): string {
  const schema = z.toJSONSchema(definition.parameters, { io: 'input' }) as Schema;
  const rows = parameterRows(schema);
  const unit = 'unit' in definition ? ` Unit: ${definition.unit}.` : '';
  const table =
    rows.length === 0 ? '' : `\n\n| Parameter | Type | Default | Meaning |\n|---|---|---|---|\n${rows.join('\n')}`;
  return `### ${definition.type}\n\n${definition.summary}${unit}\n\nSource: ${definition.source}.${table}${example(definition, schema)}\n`;
}

const body = (Object.keys(titles) as PluginDefinition['kind'][])
  .map((kind) => [titles[kind], plugins.filter((plugin) => plugin.kind === kind)] as const)
  .filter(([, members]) => members.length > 0)
  .map(([title, members]) => `## ${title}\n\n${members.map(section).join('\n')}`)
  .join('\n');

const path = join(root, 'docs/plugins.md');
const text = introduction + body;
if (!process.argv.includes('--check')) {
  writeFileSync(path, text);
} else if (readFileSync(path, 'utf8') !== text) {
  console.error('docs/plugins.md is stale: run `npm run docs`');
  process.exitCode = 1;
}

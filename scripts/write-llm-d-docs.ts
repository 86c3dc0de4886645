/** Writes the table of types in docs/coming-from/llm-d.md from `compat/`; with `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { llmDNames } from '../src/compat/llm-d-plugins.ts';
import { plugins } from '../src/scheduler/plugins/index.ts';
import { root } from './lib/source-files.ts';

const path = join(root, 'docs/coming-from/llm-d.md');
const marker = '<!-- The table below is written by `npm run docs`. -->\n';
const [before = ''] = readFileSync(path, 'utf8').split(marker);

const built = plugins
  .filter(({ source }) => /llm-d|Gateway API/.test(source))
  .map(({ type }) => [type, 'built', '[plugins](../plugins.md)'] as const);
const others = [...llmDNames.types].map(([type, fate]) => {
  if ('as' in fate) return [type, 'mapped', `to \`${fate.as}\`; ${fate.note ?? 'the same'}`] as const;
  return 'needless' in fate
    ? ([type, 'not needed', fate.needless] as const)
    : ([type, 'refused', fate.refused] as const);
});
const rows = [...built, ...others]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([type, fate, what]) => `| \`${type}\` | ${fate} | ${what} |`);
const text = `${before}${marker}\n| Type | Here | What becomes of it |\n|---|---|---|\n${rows.join('\n')}\n`;

if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (readFileSync(path, 'utf8') !== text) {
  console.error('docs/coming-from/llm-d.md is stale: run `npm run docs`');
  process.exitCode = 1;
}

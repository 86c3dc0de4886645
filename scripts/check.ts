/** `npm run check`: format, lint, types, import table, dead code. Runs them all and says which failed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './lib/source-files.ts';

const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const node = process.execPath;
// What was checked and has not changed since is not checked again; a clean clone has no cache and checks it all.
const cache = (name: string): string => join(root, `node_modules/.cache/check-${name}`); // not the tools' own places
const eslintCache = ['--cache', '--cache-strategy', 'content', '--cache-location', cache('eslint')];
const tsc = (name: string, ...rest: string[]): string[] => [
  join(root, 'node_modules/typescript/bin/tsc'),
  '--noEmit',
  '--incremental',
  '--tsBuildInfoFile',
  cache(name),
  ...rest,
];
const checks: [string, string, string[]][] = [
  [
    'format',
    bin('prettier'),
    ['--check', '--log-level', 'warn', '--cache', '--cache-location', cache('prettier'), '.'],
  ],
  ['lint', node, [join(root, 'node_modules/eslint/bin/eslint.js'), '--max-warnings', '0', ...eslintCache, '.']],
  ['types', node, tsc('types')],
  ['types of the console', node, tsc('console-types', '--project', 'src/console')],
  ['imports', node, ['scripts/check-imports.ts']],
  ['dead code', node, ['scripts/check-dead-code.ts']],
  ['plugin docs', node, ['scripts/write-plugin-docs.ts', '--check']],
  ['docs of llm-d’s types', node, ['scripts/write-llm-d-docs.ts', '--check']],
  ['docs of options', node, ['scripts/write-option-docs.ts', '--check']],
  ['words', node, ['scripts/check-words.ts']],
];

let failed = 0;
for (const [name, command, commandArguments] of checks) {
  const started = performance.now();
  const result = spawnSync(command, commandArguments, { cwd: root, encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (result.status === 0) {
    console.log(`ok    ${name} (${seconds} s)`);
  } else {
    failed += 1;
    console.log(`FAIL  ${name} (${seconds} s)\n${result.stdout}${result.stderr}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;

/** Writes docs/options.md, every option of every command, from the commands; with `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { commands } from '../src/cli/program.ts';
import { root } from './lib/source-files.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function fallbackOf(value: unknown, name: string): string {
  // Some defaults are this machine's.
  if (name === 'processes') return 'one a core';
  if (value === undefined || value === false) return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function section(command: Command, parents: string): string {
  const name = `${parents}${command.name()}`;
  const operands = command.registeredArguments.map((each) => ` <${each.name()}>`).join('');
  const rows = command.options
    .filter(({ hidden }) => !hidden)
    .map((option) => {
      const what = cell(option.description);
      return `| \`${cell(option.flags)}\` | ${fallbackOf(option.defaultValue, option.name())} | ${what} |`;
    });
  const table = rows.length === 0 ? '' : `\n\n| Option | Default | Meaning |\n|---|---|---|\n${rows.join('\n')}`;
  const own = `## ${name}${operands}\n\n${command.description()}${table}\n`;
  return [own, ...command.commands.map((child) => section(child, `${name} `))].join('\n');
}

const introduction = `# Options

<!-- Written by scripts/write-option-docs.ts from the commands; change those. -->

Every option of every command. None has to be given but those without a default that a command cannot do without, and the
command says so. Parameters of plugins: [plugins](plugins.md).

`;
const sections = (await commands()).map((command) => section(command, ''));
const text = introduction + sections.join('\n');
const path = join(root, 'docs/options.md');
if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (readFileSync(path, 'utf8') !== text) {
  console.error('docs/options.md is stale: run `npm run docs`');
  process.exitCode = 1;
}

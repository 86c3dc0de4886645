/**
 * Holds the imports of `src/` against the table in docs/architecture.md, so that a newcomer can trust the picture.
 * A folder may import itself and the folders listed; `type:` marks folders from which only types may come.
 */
import { dirname, join, normalize } from 'node:path';
import { filesBelow, readSource } from './lib/source-files.ts';

const frontDoor = [
  'door',
  'keys',
  'dispatch',
  'proxy',
  'disaggregation',
  'fleet',
  'journal',
  'admin',
  'scheduler',
  'compat',
  'api',
  'base',
];

const mayImport: Record<string, readonly string[]> = {
  base: [],
  api: ['base'],
  scheduler: ['api', 'base'],
  admission: ['type:scheduler', 'base'],
  kubernetes: ['base'],
  fleet: ['type:scheduler', 'scheduler/endpoints-file', 'type:proxy', 'api', 'base', 'kubernetes'],
  configuration: ['scheduler', 'compat', 'base'],
  journal: ['type:scheduler', 'base'],
  dispatch: ['scheduler', 'admission', 'fleet', 'journal', 'base', 'type:api'],
  proxy: ['api', 'base'],
  disaggregation: ['proxy', 'api', 'base'],
  door: [
    'dispatch',
    'keys',
    'sharing',
    'configuration',
    'proxy',
    'fleet',
    'journal',
    'admin',
    'scheduler',
    'kubernetes',
    'compat',
    'api',
    'base',
  ],
  gateway: frontDoor,
  epp: frontDoor,
  sidecar: [
    'proxy',
    'disaggregation',
    'type:fleet',
    'fleet/discovery/endpoints-file',
    'fleet/discovery/kubernetes',
    'api',
    'base',
  ],
  keys: ['base'],
  sharing: ['type:scheduler', 'dispatch', 'fleet', 'keys', 'base'],
  admin: ['type:keys', 'type:sharing', 'dispatch', 'journal', 'fleet', 'type:scheduler', 'api', 'base'],
  'engine/model': ['base'],
  'engine/server': ['engine/model', 'api', 'base'],
  charts: [],
  traffic: ['charts', 'api', 'base'],
  replay: [
    'charts',
    'traffic',
    'dispatch',
    'engine/model',
    'fleet',
    'configuration',
    'journal',
    'scheduler',
    'admission',
    'api',
    'base',
  ],
  stack: ['scheduler', 'kubernetes', 'api', 'base', 'compat'],
  controller: ['stack', 'kubernetes', 'api', 'base'],
  compat: ['scheduler', 'api', 'base'],
  console: ['type:admin', 'type:journal', 'journal/flip-lines', 'charts'],
  cli: ['*'],
};

const importPattern =
  /^\s*(import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]\s*\)/gm;

function folderOf(path: string): string {
  const parts = path.split('/').slice(1);
  return parts[0] === 'engine' ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

const problems: string[] = [];
for (const path of filesBelow('src', ['.ts', '.tsx'])) {
  const from = folderOf(path);
  const allowed = mayImport[from];
  if (allowed === undefined) {
    problems.push(`${path}: the folder "${from}" is not in the import table`);
    continue;
  }
  if (allowed.includes('*')) continue;
  const text = readSource(path);
  for (const match of text.matchAll(importPattern)) {
    const specifier = match[3] ?? match[4] ?? '';
    const target = normalize(join(dirname(path), specifier));
    const to = folderOf(target);
    const isType = match[2] !== undefined;
    const fits = allowed.some((rule) =>
      rule.startsWith('type:') ? isType && rule.slice(5) === to : rule === to || target.startsWith(`src/${rule}.`),
    );
    if (to !== from && target.startsWith('src/') && !fits) {
      const line = text.slice(0, match.index).split('\n').length + (match[0].startsWith('\n') ? 1 : 0);
      problems.push(`${path}:${line}: "${from}" may not import ${isType ? 'types from ' : ''}"${to}" (${specifier})`);
    }
  }
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

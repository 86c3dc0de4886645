/** Finds exports of `src/` that no other file uses, and files that nothing reaches from an entry point. */
import { dirname, join, normalize } from 'node:path';
import { filesBelow, readSource } from './lib/source-files.ts';

const entryPoints = new Set([
  'src/cli/main.ts',
  'src/replay/worker.ts',
  'src/gateway/workers/worker.ts',
  'src/console/main.tsx',
  'src/configuration/plugin-api.ts',
  'src/configuration/preflight-worker.ts',
  'src/configuration/test-kit.ts',
]);
const exportPattern =
  /^export\s+(?:abstract\s+)?(?:async\s+)?(?:const|let|function\*?|class|interface|type|enum)\s+([A-Za-z0-9_$]+)/gm;
const specifierPattern = /(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]|new URL\(\s*['"](\.[^'"]+\.ts)['"]/g;

const sources = filesBelow('src', ['.ts', '.tsx']);
const others = ['test', 'scripts', 'bench'].flatMap((folder) => {
  try {
    return filesBelow(folder, ['.ts', '.tsx']);
  } catch {
    return [];
  }
});
const texts = new Map([...sources, ...others].map((path) => [path, readSource(path)]));

const importedFrom = new Map<string, Set<string>>();
for (const [path, text] of texts) {
  for (const match of text.matchAll(specifierPattern)) {
    const target = normalize(join(dirname(path), match[1] ?? match[2] ?? ''));
    const importers = importedFrom.get(target) ?? new Set<string>();
    importers.add(path);
    importedFrom.set(target, importers);
  }
}

const reachable = new Set<string>();
const queue = [...entryPoints, ...others];
for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
  if (reachable.has(path)) continue;
  reachable.add(path);
  for (const [target, importers] of importedFrom) if (importers.has(path)) queue.push(target);
}

const problems: string[] = [];
for (const path of sources) {
  if (!reachable.has(path)) {
    problems.push(`${path}: nothing imports this file`);
    continue;
  }
  if (entryPoints.has(path)) continue;
  const text = texts.get(path) ?? '';
  const importers = [...(importedFrom.get(path) ?? [])].map((importer) => texts.get(importer) ?? '');
  for (const match of text.matchAll(exportPattern)) {
    const name = match[1] ?? '';
    const word = new RegExp(`(?<![\\w$])${name.replaceAll('$', '\\$')}(?![\\w$])`);
    const used = importers.some((importer) => word.test(importer));
    if (!used) problems.push(`${path}: export "${name}" is used by no other file`);
  }
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

/** The repository speaks of the product alone: no paths of one machine, no registries' hosts, no doors to its background. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/source-files.ts';

const forbidden = [
  /\/work\//,
  /\.\.\/shared\b/,
  /registry\.npmjs\.org/,
  /files\.pythonhosted\.org/,
  /proxy\.golang\.org/,
  /deb\.debian\.org/,
];
const thisFile = 'scripts/check-words.ts';

const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
let problems = 0;
for (const path of tracked) {
  if (path === thisFile || /\.(gz|png|jpg|zip)$/.test(path)) continue;
  let text: string;
  try {
    text = readFileSync(join(root, path), 'utf8');
  } catch {
    continue; // deleted but not yet committed
  }
  text.split('\n').forEach((line, index) => {
    if (forbidden.some((pattern) => pattern.test(line))) {
      problems += 1;
      console.error(`${path}:${index + 1}: ${line.trim().slice(0, 120)}`);
    }
  });
}
process.exitCode = problems > 0 ? 1 : 0;

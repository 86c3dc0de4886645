/**
 * Compiles `src/` to `dist/`: Node strips types only outside node_modules, so packages carry JavaScript, and types of what
 * plugins import. The console, which browsers run, is bundled beside it.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/source-files.ts';

rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const steps = [
  [tsc, '--project', 'tsconfig.build.json'],
  [tsc, '--project', 'tsconfig.plugin-types.json'],
  [join(root, 'scripts/build-console.ts'), 'dist/console'],
];
for (const step of steps) {
  process.exitCode = spawnSync(process.execPath, step, { cwd: root, stdio: 'inherit' }).status ?? 1;
  if (process.exitCode !== 0) break;
}

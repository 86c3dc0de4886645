/**
 * Compiles `src/` to `dist/` (JavaScript, no types): Node strips types only outside node_modules, so packages carry JS.
 * The console, which browsers run, is bundled beside it.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/source-files.ts';

rmSync(join(root, 'dist'), { recursive: true, force: true });
const result = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '--project', 'tsconfig.build.json'],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
if (result.status === 0) {
  const builder = [join(root, 'scripts/build-console.ts'), 'dist/console'];
  process.exitCode = spawnSync(process.execPath, builder, { cwd: root, stdio: 'inherit' }).status ?? 1;
} else {
  process.exitCode = result.status ?? 1;
}

/**
 * `npm run image [-- FILE]`: the product as a container image, without a container engine or a registry. The same
 * content as deploy/image/Dockerfile gives, on this machine's own libraries.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { imageContents, imageEnvironment, launcher } from './lib/image-contents.ts';
import { copyProgram, writeImage, writeRootFiles } from './lib/oci-image.ts';
import { readSource, root } from './lib/source-files.ts';

const { version } = JSON.parse(readSource('package.json')) as { version: string };
const file = resolve(process.argv[2] ?? `signalbox-${version}.tar`);

execFileSync(process.execPath, [join(root, 'scripts/build.ts')], { stdio: 'inherit' });
const folder = mkdtempSync(join(tmpdir(), 'signalbox-image-'));
try {
  const base = join(folder, 'base');
  const product = join(folder, 'product');
  mkdirSync(base);
  writeRootFiles(base);
  copyProgram(process.execPath, base, 'usr/local/bin/node');

  const app = join(product, 'app');
  mkdirSync(app, { recursive: true });
  for (const path of [...imageContents, ...runtimePackages()]) {
    cpSync(join(root, path), join(app, path), { recursive: true });
  }
  mkdirSync(join(product, 'usr/local/bin'), { recursive: true });
  const command = join(product, 'usr/local/bin/signalbox');
  writeFileSync(command, launcher);
  chmodSync(command, 0o755);

  await writeImage(file, {
    name: `docker.io/library/signalbox:${version}`,
    layers: [base, product],
    entrypoint: ['/usr/local/bin/signalbox'],
    user: '65532:65532',
    env: { PATH: '/usr/local/bin', ...imageEnvironment },
  });
  console.log(file);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Folders of the packages that run, not only build or test, as the lock has them. */
function runtimePackages(): string[] {
  const lock = JSON.parse(readSource('package-lock.json')) as { packages: Record<string, { dev?: boolean }> };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path]) => path);
}

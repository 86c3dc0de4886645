import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository, runCommand } from '../support/command.ts';

interface Locked {
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}

const read = (file: string): unknown => JSON.parse(readFileSync(join(repository, file), 'utf8'));
const { packages } = read('package-lock.json') as { packages: Record<string, Locked> };
const installed = Object.entries(packages).filter(([path]) => path !== '');
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

test('every package is locked by its hash, and none that is published with us runs a script at installation', () => {
  assert.ok(installed.length > 50);
  for (const [path, { integrity }] of installed) assert.match(integrity ?? '', /^sha512-/, path);
  const scripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  assert.deepEqual(
    scripts.filter(([, { dev }]) => dev !== true),
    [],
  );
  // Of those for development one is let: the runtime itself.
  const { allowScripts } = read('package.json') as { allowScripts: Record<string, boolean> };
  assert.deepEqual(allowScripts, { node: true });
});

test('the bill of materials names what is locked, and nothing else', async () => {
  const options = ['--sbom-format', 'cyclonedx', '--package-lock-only'];
  const { stdout, stderr } = await runCommand('npm', ['sbom', ...options]);
  const { components } = JSON.parse(stdout || stderr) as { components: { group?: string; name: string }[] };
  const named = new Set(components.map(({ name }) => name));
  assert.deepEqual(named, new Set(installed.map(([path]) => nameOf(path))));
});

test('nothing is known against them, as far as the registry answers', async (t) => {
  const { stdout } = await runCommand('npm', ['audit', '--json']);
  const { metadata, message } = JSON.parse(stdout) as {
    metadata?: { vulnerabilities: { high: number; critical: number } };
    message?: string;
  };
  if (metadata === undefined) return t.diagnostic(`not asked: the registry does not answer (${message})`);
  const { high, critical } = metadata.vulnerabilities;
  assert.deepEqual({ high, critical }, { high: 0, critical: 0 }, stdout);
});

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository, runCommand } from '../support/command.ts';
import { assertConsole, complete, startStack } from '../support/stack.ts';
import { prompt1, prompt2, walkthroughModel } from '../support/walkthrough-prompts.ts';

test('npm pack gives a package whose `npx signalbox up` works', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-package-'));
  const packed = await runCommand('npm', ['pack', '--pack-destination', folder], { cwd: repository });
  assert.equal(packed.status, 0, packed.stderr);
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  assert.ok(archive, packed.stdout);

  await assertTypes(join(folder, archive));
  const stack = await startStack(t, ['npx', '--yes', '--package', join(folder, archive), 'signalbox'], [], {
    cwd: folder,
    env: { npm_config_cache: join(folder, 'npm-cache') },
  });
  t.after(() => rmSync(folder, { recursive: true, force: true })); // after the stack's own end, which needs it
  assert.equal((await complete(stack.url, walkthroughModel, prompt1, 8)).status, 200);
  const second = await complete(stack.url, walkthroughModel, prompt2, 8);
  assert.ok((second.body.usage.prompt_tokens_details?.cached_tokens ?? 0) > 0);
  await assertConsole(stack.adminUrl);
  const explained = await stack.signalbox('explain', 'last');
  assert.equal(explained.status, 0, explained.stderr);
  assert.match(explained.stdout, /prefix-aware-scorer/);
});

/** The example's plugin has types in an editor of whoever installs the package; what the API does not have is an error. */
async function assertTypes(archive: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-types-'));
  try {
    const modules = join(folder, 'node_modules');
    mkdirSync(join(modules, 'signalbox'), { recursive: true });
    await runCommand('tar', ['xzf', archive, '--strip-components', '1', '-C', join(modules, 'signalbox')]);
    symlinkSync(join(repository, 'node_modules/zod'), join(modules, 'zod'));
    cpSync(join(repository, 'examples/plugins'), folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const tsc = (file: string): ReturnType<typeof runCommand> => {
      const flags = '--noEmit --strict --target es2024 --module nodenext --allowImportingTsExtensions'.split(' ');
      return runCommand(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc'), ...flags, file], {
        cwd: folder,
      });
    };
    const example = await tsc('spread-by-rack.ts');
    assert.equal(example.status, 0, example.stdout);
    writeFileSync(
      join(folder, 'wrong.ts'),
      "import { definePlugin } from 'signalbox/plugin';\ndefinePlugin({ type: 7 });\n",
    );
    assert.match((await tsc('wrong.ts')).stdout, /wrong\.ts\(2,/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

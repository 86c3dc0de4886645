import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
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

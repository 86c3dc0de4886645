import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { repository, runCommand, temporaryFolder } from '../support/command.ts';
import { assertConsole, complete, startStack } from '../support/stack.ts';
import { prompt1, walkthroughModel } from '../support/walkthrough-prompts.ts';

/** What a new user does: clone, run the first command. Nothing of this checkout's node_modules is there. */
const clone = join(mkdtempSync(join(tmpdir(), 'signalbox-clone-')), 'signalbox');

before(async () => {
  const cloned = await runCommand('git', ['clone', '--quiet', repository, clone]);
  assert.equal(cloned.status, 0, cloned.stderr);
});

test('offline, the first run says what it could not get, and what to do', async (t) => {
  const empty = temporaryFolder(t);
  const result = await runCommand(join(clone, 'signalbox'), ['--version'], {
    env: {
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_cache: join(empty, 'npm'),
      npm_config_fetch_retries: '0',
      SIGNALBOX_CACHE: join(empty, 'cache'),
    },
  });
  assert.equal(result.status, 1);
  assert.match(result.stderr, /could not install the packages. Is this machine offline\?/);
});

test('two first runs at once install once and both work', async () => {
  const results = await Promise.all([1, 2].map(() => runCommand(join(clone, 'signalbox'), ['--version'])));
  for (const result of results) {
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout, /^\d+\.\d+\.\d+\n$/);
  }
  const installs = results.filter((result) => result.stderr.includes('installing the packages'));
  assert.equal(installs.length, 1, 'one of the two should have installed, the other waited');
});

test('a fresh clone brings the system up and answers', async (t) => {
  const stack = await startStack(t, [join(clone, 'signalbox')], [], { cwd: tmpdir() });
  const answer = await complete(stack.url, walkthroughModel, prompt1, 16);
  assert.equal(answer.status, 200);
  assert.ok((answer.body.choices[0]?.text ?? '').length > 0);
  await assertConsole(stack.adminUrl);
});

test('the checkout stays clean after its first run', async () => {
  const status = await runCommand('git', ['status', '--short'], { cwd: clone });
  assert.equal(status.stdout, '');
});

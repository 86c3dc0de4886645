import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { hashOf, newKey } from '../../src/keys/secret.ts';
import { repository, runCommand, temporaryFolder } from '../support/command.ts';

const launcher = join(repository, 'signalbox');

test('what is wrong with a file of keys is said with its place', async (t) => {
  const file = join(temporaryFolder(t), 'keys.yaml');
  const hash = hashOf(newKey());
  const message = async (text: string): Promise<string> => {
    writeFileSync(file, text);
    return readKeyFile(file).then(
      () => 'valid',
      (error: Error) => error.message.replaceAll(file, 'F'),
    );
  };
  assert.equal(await message(`keys:\n  - name: a\n    hash: ${hash}\n    requestsPerMinute: 10`), 'valid');
  assert.match(await message('{}'), /^F:1:1: neither keys nor issuers/);
  assert.match(await message(`keys:\n  - name: a\n    hash: sk-in-clear`), /^F:3:11: .*not the key itself/);
  assert.match(
    await message(`keys:\n  - name: a\n    hash: ${hash}\n    requestPerMinute: 1`),
    /^F:4:5: .*requestsPer/,
  );
  const twice = `  - name: a\n    hash: ${hash}\n`;
  assert.match(await message(`keys:\n${twice}${twice}`), /F:4:11: a second key named "a"\nF:5:11: the hash of "a"/);
  assert.match(await message(`keys:\n  - name: a\n    hash: ${hash}\n    models: []`), /^F:4:13: /);
});

test('`keys new` prints a key once and leaves its hash in the file, which only its owner reads', async (t) => {
  const file = join(temporaryFolder(t), 'keys.yaml');
  const first = await runCommand(launcher, ['keys', 'new', 'team-a', '--file', file, '--json']);
  assert.equal(first.status, 0, first.stderr);
  const { key } = JSON.parse(first.stdout) as { key: string };
  assert.match(key, /^sk-[\w-]{43}$/);
  writeFileSync(file, `# Whose key is whose.\n${readFileSync(file, 'utf8')}    requestsPerMinute: 60\n`);
  assert.equal((await runCommand(launcher, ['keys', 'new', 'team-b', '--file', file])).status, 0);
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^# Whose key is whose\.\n/);
  assert.ok(!text.includes(key));
  assert.equal(statSync(file).mode & 0o077, 0);
  const { keys } = await readKeyFile(file);
  assert.deepEqual(
    keys.map(({ name, requestsPerMinute }) => [name, requestsPerMinute]),
    [
      ['team-a', 60],
      ['team-b', undefined],
    ],
  );
  assert.equal(keys[0]!.hash, hashOf(key));
  const again = await runCommand(launcher, ['keys', 'new', 'team-a', '--file', file]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /a second key named "team-a"/);
  assert.equal(readFileSync(file, 'utf8'), text);
  assert.match((await runCommand(launcher, ['keys', 'check', file])).stdout, /2 keys and 0 issuers/);
});

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { previousLog, rotateIfLarge, sizeOf } from '../../src/stack/log-file.ts';
import { LogReader } from '../../src/stack/log-reader.ts';
import { temporaryFolder } from '../support/command.ts';

test('a reader sees every line once, also across the cut of a log that grew too large', async (t) => {
  const path = join(temporaryFolder(t), 'vllm.log');
  writeFileSync(path, 'one\ntwo\nthree\n');
  const reader = new LogReader(path);
  assert.equal(reader.readAll(), 'one\ntwo\nthree\n');

  const line = `${'x'.repeat(1022)}\n`;
  appendFileSync(path, line.repeat(4200));
  rotateIfLarge(path);
  assert.equal(sizeOf(path), 0);
  appendFileSync(path, 'after\nunfinished');
  let read = '';
  for await (const text of reader.follow(() => false)) read += text;
  assert.ok(read === `${line.repeat(4200)}after\n`, `${read.length} characters`);
  assert.ok(readFileSync(previousLog(path), 'utf8').startsWith('one\n'));
});

test('the last lines, with a prefix', (t) => {
  const path = join(temporaryFolder(t), 'vllm.log');
  writeFileSync(path, 'one\ntwo\nthree\n');
  assert.equal(new LogReader(path, '[p] ', 2).readAll(), '[p] two\n[p] three\n');
  assert.equal(new LogReader(path, '', 0).readAll(), '');
  assert.equal(new LogReader(join(path, 'nowhere')).readAll(), '');
});

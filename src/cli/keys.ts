import { readFile, rename, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { readKeyFile } from '../keys/key-file.ts';
import { hashOf, newKey } from '../keys/secret.ts';
import { print } from './print.ts';

export function keysCommand(): Command {
  const command = new Command('keys').description('Make API keys, and check a file of them.');
  command
    .command('new')
    .description('Make a key. It is printed once; its hash goes into the file, or is printed for you to put there.')
    .argument('<name>', 'whose it is: stands in metrics and logs')
    .option('--file <file>', 'file of keys to add it to; made when it is not there')
    .option('--json', 'print one JSON document', false)
    .action(make);
  command
    .command('check')
    .description('Say what is wrong with a file of keys, and whom it lets in.')
    .argument('<file>', 'the file')
    .option('--json', 'print one JSON document', false)
    .action(check);
  return command;
}

async function make(name: string, { file, json }: { file?: string; json: boolean }): Promise<void> {
  if (!/^[\w.@:+-]{1,64}$/.test(name)) {
    throw new SignalboxError('usage', `"${name}": expected up to 64 letters, digits and . _ @ : + -`);
  }
  const key = newKey();
  const hash = hashOf(key);
  if (file !== undefined) await add(file, name, hash);
  if (json) print(JSON.stringify({ name, key, hash, file: file ?? null }));
  else if (file !== undefined) print(`${key}\n\nThis is the only time it is shown. ${file} has its hash.`);
  else print(`${key}\n\nThis is the only time it is shown. In the file of --keys-file:\n\n${entry(name, hash)}`);
}

function entry(name: string, hash: string): string {
  return `  - name: ${JSON.stringify(name)}\n    hash: ${hash}`;
}

/** Appends to the text, so that comments and order stay. */
async function add(file: string, name: string, hash: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new SignalboxError('environment', `${file}: ${error.message}`);
  });
  const { parseDocument, isSeq } = await import('yaml');
  const document = parseDocument(text);
  const list = document.get('keys');
  if (isSeq(list)) document.addIn(['keys'], { name, hash });
  else document.set('keys', [{ name, hash }]);
  const next = `${file}.new`;
  await writeFile(next, document.toString(), { mode: 0o600 });
  await readKeyFile(next).catch((error: unknown) => {
    throw error instanceof SignalboxError
      ? new SignalboxError('config_invalid', error.message.replaceAll(next, file))
      : error;
  });
  await rename(next, file);
}

async function check(file: string, { json }: { json: boolean }): Promise<void> {
  const { keys, issuers } = await readKeyFile(file);
  const names = { keys: keys.map(({ name }) => name), issuers: issuers.map(({ issuer }) => issuer) };
  if (json) print(JSON.stringify({ file, valid: true, ...names }));
  else print(`${file}: valid, ${names.keys.length} keys and ${names.issuers.length} issuers of tokens`);
}

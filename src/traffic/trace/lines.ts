import { createReadStream, readdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { messageOf, SignalboxError } from '../../base/errors.ts';

/** A line of a file that is not blank, with where it stands. */
export interface Line {
  readonly text: string;
  /** `file:line` */
  readonly at: string;
}

/** The lines of a file, or of all `.jsonl` files in a folder in the order of their names, as of `readFile`. */
export async function* readLines(path: string): AsyncGenerator<Line, void> {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return yield* readFile(path);
  const names = readdirSync(path).filter((name) => /\.jsonl(\.gz)?$/.test(name));
  for (const name of names.sort()) yield* readFile(join(path, name));
}

/** The lines of a file, plain or gzip (told by its first bytes, not its name). Throws `config_invalid` if it cannot be read. */
async function* readFile(path: string): AsyncGenerator<Line, void> {
  let number = 0;
  const source = createReadStream(path);
  try {
    let input: Readable = source;
    if (await isGzip(path)) {
      const gunzip = createGunzip();
      source.on('error', (error) => gunzip.destroy(error));
      input = source.pipe(gunzip);
    }
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      number += 1;
      if (text.trim() !== '') yield { text, at: `${path}:${number}` };
    }
  } catch (error) {
    if (error instanceof SignalboxError) throw error;
    const place = number === 0 ? path : `${path}:${number}`;
    throw new SignalboxError('config_invalid', `${place}: cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    source.destroy();
  }
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SignalboxError } from '../base/errors.ts';

/** Where `examples/`, `assets/` and `deploy/` are, in a clone as well as in an installed package. */
export const packageRoot = join(import.meta.dirname, '..', '..');

interface FoundFile {
  readonly path: string;
  readonly text: string;
}

/** Reads a file as given or, when there is none, from the package: `examples/base/base.yaml` works from anywhere. */
export function readUserFile(name: string): FoundFile {
  const candidates = [resolve(name), join(packageRoot, name)];
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new SignalboxError('usage', `there is no file ${name}, neither here nor among the package's examples`);
  }
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SignalboxError('environment', `${path} cannot be read (${code})`, { cause: error });
  }
}

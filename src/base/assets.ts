import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where a file below `assets/` is, in a clone as well as in an installed package. */
export function assetPath(path: string): string {
  return fileURLToPath(new URL(`../../assets/${path}`, import.meta.url));
}

export function readAsset(path: string): string {
  return readFileSync(assetPath(path), 'utf8');
}

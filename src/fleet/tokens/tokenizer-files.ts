import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { assetPath } from '../../base/assets.ts';

/**
 * Folders that may hold the tokenizer of a model, by what its engine says that it serves (`root`) and by its name: a
 * path on this machine, Hugging Face's cache, and the one of our own simulated engine. Which of them is the right one
 * shows when its ids are held against the engine's.
 */
export function tokenizerFolders(model: string, root: string | undefined): string[] {
  const names = [...new Set([root, model].filter((name) => name !== undefined && name !== ''))] as string[];
  const folders = names.flatMap((name) => [name, ...snapshots(name)]);
  return [...folders, assetPath('tokenizer')].filter((folder) => existsSync(join(folder, 'tokenizer.json')));
}

/** Revisions in Hugging Face's cache, the one that `main` points to first. */
function snapshots(name: string): string[] {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name)) return [];
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  const folder = join(HF_HUB_CACHE ?? join(home, 'hub'), `models--${name.replace('/', '--')}`);
  try {
    const all = readdirSync(join(folder, 'snapshots'));
    const main = existsSync(join(folder, 'refs/main')) ? readFileSync(join(folder, 'refs/main'), 'utf8').trim() : '';
    return all
      .toSorted((a, b) => Number(b === main) - Number(a === main))
      .map((revision) => join(folder, 'snapshots', revision));
  } catch {
    return [];
  }
}

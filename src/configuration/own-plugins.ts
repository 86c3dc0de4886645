import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { fileError, type FileIssue } from '../base/yaml.ts';
import type { OwnPlugin } from '../scheduler/config.ts';
import { defaultLimits, guarded, type PluginHealth } from './guard.ts';
import { importAnew } from './module-hooks.ts';
import { ownDefinition } from './own-definition.ts';
import { preflight } from './preflight.ts';

interface Loaded {
  readonly plugin: OwnPlugin;
  readonly health: PluginHealth;
  readonly files: ReadonlySet<string>;
}

let revisions = 0;

/** Plugins from files of the user's, kept until the contents of their files change. */
export class OwnPlugins {
  readonly #report: (text: string) => void;
  #loaded = new Map<string, Loaded>();
  /** Also those of a load that failed: they are what has to change. */
  #files = new Set<string>();

  /** `report` hears what people should: plugins that throw, and those switched off. */
  constructor(report: (text: string) => void) {
    this.#report = report;
  }

  /** How each fares. */
  get health(): PluginHealth[] {
    return [...this.#loaded.values()].map(({ health }) => health);
  }

  /** All files that the plugins consist of. */
  get files(): ReadonlySet<string> {
    return this.#files;
  }

  /**
   * The plugins in `wanted` (a file as the configuration names it, and where it does), relative to `folder`.
   * Throws `config_invalid` with each that does not load; those loaded before stay what they are.
   */
  async load(wanted: ReadonlyMap<string, string>, folder: string): Promise<Map<string, OwnPlugin>> {
    const issues: FileIssue[] = [];
    const next = new Map<string, Loaded>();
    const plugins = new Map<string, OwnPlugin>();
    const files = new Set<string>();
    for (const [name, at] of wanted) {
      const path = resolve(folder, name);
      try {
        const loaded = await this.#current(path, files);
        next.set(path, loaded);
        plugins.set(name, loaded.plugin);
      } catch (error) {
        issues.push({ at, message: `${name}: ${messageOf(error)}` });
      }
    }
    this.#files = files;
    if (issues.length > 0) throw fileError(issues);
    this.#loaded = next;
    return plugins;
  }

  async #current(path: string, files: Set<string>): Promise<Loaded> {
    files.add(path);
    const before = this.#loaded.get(path);
    if (before !== undefined) {
      for (const file of before.files) files.add(file);
      if (before.plugin.revision === (await hashOf(before.files))) return before;
    }
    const url = pathToFileURL(
      await realpath(path).catch(() => {
        throw new SignalboxError('config_invalid', 'there is no such file');
      }),
    );
    const fault = await preflight(url);
    if (fault !== null) throw new Error(fault);
    const own = new Set<string>();
    let definition;
    try {
      definition = ownDefinition(await importAnew(url, `${++revisions}`, own));
    } finally {
      for (const file of own) files.add(file);
    }
    const { type } = definition;
    const health = { type, file: path, runs: 0, failures: 0, slowRuns: 0, lastFailure: null, off: null };
    const stand = { health, limits: defaultLimits, report: this.#report };
    return { plugin: { definition: guarded(definition, stand), revision: await hashOf(own) }, health, files: own };
  }
}

/** The folder that a configuration's plugin files are relative to. */
export function folderOf(configFile: string): string {
  return dirname(resolve(configFile));
}

async function hashOf(files: ReadonlySet<string>): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) hash.update(`${file}\0`).update(await readFile(file).catch(() => ''));
  return hash.digest('hex').slice(0, 16);
}

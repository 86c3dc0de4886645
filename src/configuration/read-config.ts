import { readFile } from 'node:fs/promises';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { llmDNames } from '../compat/llm-d-plugins.ts';
import { pluginFilesIn, readPolicy } from '../scheduler/config.ts';
import type { Policy } from '../scheduler/policy.ts';
import { folderOf, type OwnPlugins } from './own-plugins.ts';

interface Config {
  readonly text: string;
  /** As it is to stand in messages. */
  readonly fileName: string;
  /** What the policy is called in Decisions. */
  readonly name: string;
  /** Where plugin files are looked for. */
  readonly folder: string;
}

export interface ReadConfig {
  readonly policy: Policy;
  /** What is written there and has no effect, a line each. */
  readonly warnings: readonly string[];
}

/** An EndpointPickerConfig with plugins of one's own and others' names. Throws `config_invalid` with every fault. */
export async function readConfig({ text, fileName, name, folder }: Config, plugins: OwnPlugins): Promise<ReadConfig> {
  const own = await plugins.load(pluginFilesIn(text, fileName), folder);
  const warnings: string[] = [];
  const options = { foreign: llmDNames, own, warn: (warning: string) => void warnings.push(warning) };
  return { policy: readPolicy(text, fileName, name, options), warnings };
}

/** The same from a file. */
export async function readConfigFile(file: string, name: string, plugins: OwnPlugins): Promise<ReadConfig> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SignalboxError('config_invalid', `${file}: cannot be read: ${messageOf(error)}`, { param: file });
  });
  return readConfig({ text, fileName: file, name, folder: folderOf(file) }, plugins);
}

import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { OwnPlugins } from '../configuration/own-plugins.ts';
import { readConfigFile } from '../configuration/read-config.ts';
import { defaultPolicyName } from '../scheduler/default-policy.ts';
import { isPreset, presetNames, presetPolicy } from '../scheduler/presets.ts';
import type { Policy } from '../scheduler/policy.ts';

/** Policies from files, read before anything runs: their plugins are loaded once. */
const fromFiles = new Map<string, Policy>();

/** The policy of a preset's name, or of an EndpointPickerConfig file that was prepared. */
export function namedPolicy(nameOrFile: string): { policy: Policy; isDefault: boolean } {
  const policy = fromFiles.get(nameOrFile) ?? presetPolicy(nameOrFile);
  return { policy, isDefault: nameOrFile === defaultPolicyName };
}

/** Reads the policy if it is a file's. Throws `config_invalid` with all that is wrong. */
export async function preparePolicy(nameOrFile: string): Promise<void> {
  if (isPreset(nameOrFile) || fromFiles.has(nameOrFile) || !existsSync(nameOrFile)) return;
  const plugins = new OwnPlugins((text) => void process.stderr.write(`${text}\n`));
  fromFiles.set(nameOrFile, (await readConfigFile(nameOrFile, basename(nameOrFile), plugins)).policy);
}

/** From the command line: names and files by commas, or `all` presets. Faults are told before anything runs. */
export async function policiesNamed(text: string): Promise<string[]> {
  if (text === 'all') return [...presetNames];
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    await preparePolicy(name);
    namedPolicy(name);
  }
  return names;
}

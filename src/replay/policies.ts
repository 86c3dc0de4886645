import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { policyFromConfig, readPolicy } from '../scheduler/config.ts';
import { defaultPolicy } from '../scheduler/default-policy.ts';
import type { Policy } from '../scheduler/policy.ts';

const defaultName = 'default';

export const policyNames: readonly string[] = [defaultName];

/** The policy of a preset's name, or of an EndpointPickerConfig file. */
export function namedPolicy(nameOrFile: string): { policy: Policy; isDefault: boolean } {
  if (nameOrFile === defaultName) return { policy: policyFromConfig(defaultPolicy, defaultName), isDefault: true };
  if (existsSync(nameOrFile)) {
    const text = readFileSync(nameOrFile, 'utf8');
    return { policy: readPolicy(text, nameOrFile, basename(nameOrFile)), isDefault: false };
  }
  throw new Error(`no policy "${nameOrFile}"`);
}

/** From the command line: names and files by commas, or `all` presets. Faults are told before anything runs. */
export function policiesNamed(text: string): string[] {
  if (text === 'all') return [...policyNames];
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) namedPolicy(name);
  return names;
}

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readPolicy } from '../scheduler/config.ts';
import { defaultPolicyName } from '../scheduler/default-policy.ts';
import { isPreset, presetNames, presetPolicy } from '../scheduler/presets.ts';
import type { Policy } from '../scheduler/policy.ts';

/** The policy of a preset's name, or of an EndpointPickerConfig file. */
export function namedPolicy(nameOrFile: string): { policy: Policy; isDefault: boolean } {
  return { policy: policyOf(nameOrFile), isDefault: nameOrFile === defaultPolicyName };
}

function policyOf(nameOrFile: string): Policy {
  if (isPreset(nameOrFile) || !existsSync(nameOrFile)) return presetPolicy(nameOrFile);
  return readPolicy(readFileSync(nameOrFile, 'utf8'), nameOrFile, basename(nameOrFile));
}

/** From the command line: names and files by commas, or `all` presets. Faults are told before anything runs. */
export function policiesNamed(text: string): string[] {
  if (text === 'all') return [...presetNames];
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) namedPolicy(name);
  return names;
}

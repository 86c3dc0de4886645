import { readFile } from 'node:fs/promises';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { configFromEnvironment } from '../compat/llm-d-environment.ts';
import { policyFromConfig, readPolicy } from '../scheduler/config.ts';
import { defaultPolicyName } from '../scheduler/default-policy.ts';
import { defaultHoldRule } from '../scheduler/flow-control.ts';
import { isPreset, presetPolicy } from '../scheduler/presets.ts';
import type { Policy } from '../scheduler/policy.ts';

export interface PolicySource {
  /** An EndpointPickerConfig's file, or its text; with neither llm-d's environment switches, or the default. */
  readonly configFile?: string;
  readonly configText?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface LoadedPolicy {
  readonly policy: Policy;
  readonly warnings: readonly string[];
}

/**
 * What decides live. Where the configuration says nothing of flow control, the default rule holds whom the fleet has no
 * room for. @throws SignalboxError `config_invalid` with every fault and its place.
 */
export async function loadPolicy(source: PolicySource): Promise<LoadedPolicy> {
  const { policy, warnings } = await readSource(source);
  return { policy: { ...policy, hold: policy.hold ?? defaultHoldRule }, warnings };
}

async function readSource(source: PolicySource): Promise<LoadedPolicy> {
  if (source.configText !== undefined) {
    return { policy: readPolicy(source.configText, '--config-text', 'config-text'), warnings: [] };
  }
  if (source.configFile !== undefined) {
    return { policy: await readPolicyFile(source.configFile), warnings: [] };
  }
  const translated = configFromEnvironment(source.environment);
  if (translated !== null) {
    return { policy: policyFromConfig(translated.config, 'environment'), warnings: translated.warnings };
  }
  return { policy: presetPolicy(defaultPolicyName), warnings: [] };
}

/** A policy to run in shadow: a preset's name, or an EndpointPickerConfig's file. @throws SignalboxError */
export async function loadShadow(nameOrFile: string): Promise<Policy> {
  // What is neither is most likely a name misspelt.
  const isFile = !isPreset(nameOrFile) && /[./]/.test(nameOrFile);
  return isFile ? readPolicyFile(nameOrFile) : presetPolicy(nameOrFile);
}

async function readPolicyFile(file: string): Promise<Policy> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SignalboxError('config_invalid', `${file}: cannot be read: ${messageOf(error)}`, { param: file });
  });
  return readPolicy(text, file, file);
}

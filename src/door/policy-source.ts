import { configFromEnvironment } from '../compat/llm-d-environment.ts';
import { llmDDefault } from '../compat/llm-d-plugins.ts';
import type { OwnPlugins } from '../configuration/own-plugins.ts';
import { readConfig, readConfigFile, type ReadConfig } from '../configuration/read-config.ts';
import { policyFromConfig } from '../scheduler/config.ts';
import { defaultPolicyName } from '../scheduler/default-policy.ts';
import { defaultHoldRule } from '../scheduler/flow-control.ts';
import { isPreset, presetPolicy, type PresetName } from '../scheduler/presets.ts';

export interface PolicySource {
  /** An EndpointPickerConfig's file, or its text; with neither llm-d's environment switches, or the default. */
  readonly configFile?: string;
  readonly configText?: string;
  /** What decides when nothing else is said; the default policy when absent. */
  readonly fallback?: PresetName;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whose defaults count where nothing is configured. */
  readonly compat?: 'llm-d';
}

/**
 * What decides live. Where the configuration says nothing of flow control, the default rule holds whom the fleet has no
 * room for. @throws SignalboxError `config_invalid` with every fault and its place.
 */
export async function loadPolicy(source: PolicySource, plugins: OwnPlugins): Promise<ReadConfig> {
  const { policy, warnings } = await readSource(source, plugins);
  return { policy: { ...policy, hold: policy.hold ?? defaultHoldRule }, warnings };
}

async function readSource(source: PolicySource, plugins: OwnPlugins): Promise<ReadConfig> {
  const { configText, configFile } = source;
  if (configText !== undefined) {
    const config = { text: configText, fileName: '--config-text', name: 'config-text', folder: process.cwd() };
    return readConfig(config, plugins);
  }
  if (configFile !== undefined) return readConfigFile(configFile, configFile, plugins);
  const translated = configFromEnvironment(source.environment);
  if (translated !== null) {
    return { policy: policyFromConfig(translated.config, 'environment'), warnings: translated.warnings };
  }
  const policy =
    source.compat === 'llm-d'
      ? policyFromConfig(llmDDefault, 'llm-d')
      : presetPolicy(source.fallback ?? defaultPolicyName);
  return { policy, warnings: [] };
}

/** A policy by a preset's name or an EndpointPickerConfig's file. @throws SignalboxError */
export async function namedPolicy(nameOrFile: string, plugins: OwnPlugins): Promise<ReadConfig> {
  // What is neither is most likely a name misspelt.
  const isFile = !isPreset(nameOrFile) && /[./]/.test(nameOrFile);
  return isFile ? readConfigFile(nameOrFile, nameOrFile, plugins) : { policy: presetPolicy(nameOrFile), warnings: [] };
}

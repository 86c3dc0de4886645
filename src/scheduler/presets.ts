import { readAsset } from '../base/assets.ts';
import { SignalboxError } from '../base/errors.ts';
import { didYouMean } from '../base/suggest.ts';
import { readPolicy } from './config.ts';
import type { Policy } from './policy.ts';

/** Policies that come with Signalbox: `assets/policies/NAME.yaml`, each of ordinary plugins. Ours first. */
export const presetNames = [
  'least-added-wait',
  'disaggregated',
  'always-split',
  'random',
  'round-robin',
  'least-requests',
  'power-of-two',
  'session',
  'chwbl',
  'llm-d-legacy',
  'llm-d-flow-control',
  'llm-d-precise',
  'llm-d-token-aware',
  'sglang-cache-aware',
  'sglang-cache-aware-lib',
  'smg-least-load',
  'dynamo',
  'dynamo-lmetric',
  'aibrix',
  'ray',
  'kthena',
  'production-stack',
  'production-stack-loadaware',
  'preble',
  'lmetric',
  'dualmap',
  'predicted-ttft',
] as const;

export type PresetName = (typeof presetNames)[number];

export function isPreset(name: string): name is PresetName {
  return (presetNames as readonly string[]).includes(name);
}

export function presetPolicy(name: string): Policy {
  if (isPreset(name)) return readPolicy(readAsset(`policies/${name}.yaml`), `policies/${name}.yaml`, name);
  const message = `There is no policy "${name}" among ${presetNames.join(', ')}${didYouMean(name, presetNames)}`;
  throw new SignalboxError('config_invalid', message);
}

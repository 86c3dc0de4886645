import type { PresetName } from './presets.ts';

/** What decides when nobody configured anything. */
export const defaultPolicyName: PresetName = 'least-added-wait';

import { SignalboxError } from '../../../base/errors.ts';
import { didYouMean } from '../../../base/suggest.ts';
import type { Configured, Decider } from '../../plugin.ts';

/** @throws SignalboxError `config_invalid` when one of the profiles that a handler runs is not configured. */
export function needProfiles({ profiles }: Configured, handler: string, needed: readonly string[]): void {
  for (const name of needed) {
    if (profiles.includes(name)) continue;
    const message = `${handler} runs the profile "${name}", which is not configured${didYouMean(name, profiles)}`;
    throw new SignalboxError('config_invalid', message);
  }
}

/** @throws SignalboxError `config_invalid` when no decider has this name. */
export function configuredDecider(
  { deciders }: Configured,
  handler: string,
  name: string,
): { readonly name: string; readonly instance: Decider } {
  const instance = deciders.get(name);
  if (instance !== undefined) return { name, instance };
  const message = `${handler} asks the decider "${name}", which is not configured${didYouMean(name, [...deciders.keys()])}`;
  throw new SignalboxError('config_invalid', message);
}

import type { HoldRule } from './flow-rule.ts';
import type { Filter, Picker, ProfileHandler, Scorer, ScoreUnit, SessionRule, Stateful } from './plugin.ts';

/** A plugin as one policy uses it. */
interface Used<Instance> {
  /** The name the configuration gives it; its type when it gives none. */
  readonly plugin: string;
  readonly type: string;
  readonly instance: Instance & Partial<Stateful<unknown>>;
  /** Where its state stands in `PolicyStates`; -1 when it keeps none. */
  readonly stateIndex: number;
}

export interface Profile {
  readonly name: string;
  readonly filters: readonly Used<Filter>[];
  readonly scorers: readonly (Used<Scorer> & { readonly unit: ScoreUnit; readonly weight: number })[];
  readonly picker: Used<Picker> & { readonly unit: ScoreUnit };
}

/** A configuration, compiled: everything resolved, nothing optional. */
export interface Policy {
  readonly name: string;
  /** Of the configuration after defaults: equal hashes decide alike. */
  readonly hash: string;
  readonly handler: ProfileHandler;
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Every plugin of the configuration, with its parameters after defaults. */
  readonly configured: readonly { readonly plugin: string; readonly type: string; readonly parameters: unknown }[];
  readonly stateful: readonly Stateful<unknown>[];
  /** Null when everything is placed at once, however full the fleet is. */
  readonly hold: HoldRule | null;
  /** How sessions are told; null when no plugin goes by them. */
  readonly sessions: SessionRule | null;
}

/** What the plugins of one policy remember. Live, shadow and replay each own theirs. */
export type PolicyStates = readonly unknown[];

export function newStates(policy: Policy): PolicyStates {
  return policy.stateful.map((plugin) => plugin.state());
}

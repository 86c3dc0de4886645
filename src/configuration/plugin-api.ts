/**
 * What a plugin of one's own imports as `signalbox/plugin`: the same that the plugins here are made of.
 *
 *     import { definePlugin, z } from 'signalbox/plugin';
 *     export default definePlugin({ type: 'my-scorer', kind: 'scorer', unit: 'share', … });
 */
import type { FilterDefinition, PickerDefinition, ScorerDefinition } from '../scheduler/plugin.ts';

export { z } from 'zod';
export type {
  Cycle,
  Details,
  Filter,
  Outcome,
  Pick,
  Picker,
  Scorer,
  ScoreUnit,
  Stateful,
} from '../scheduler/plugin.ts';
export type { Decision } from '../scheduler/decision.ts';
export type { SchedulingRequest } from '../scheduler/request.ts';
export type { FleetView } from '../scheduler/view.ts';

/** Gives the definition back; it is here for its types. `create` is given the parameters as the schema has them. */
export function definePlugin<P>(definition: FilterDefinition<P>): FilterDefinition<P>;
export function definePlugin<P>(definition: ScorerDefinition<P>): ScorerDefinition<P>;
export function definePlugin<P>(definition: PickerDefinition<P>): PickerDefinition<P>;
export function definePlugin(definition: unknown): unknown {
  return definition;
}

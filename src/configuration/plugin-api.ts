/**
 * What a plugin of one's own imports as `signalbox/plugin`: the same that the plugins here are made of.
 *
 *     import { definePlugin, z } from 'signalbox/plugin';
 *     export default definePlugin({ type: 'my-scorer', kind: 'scorer', unit: 'share', … });
 */

export { z } from 'zod';
export { definePlugin } from '../scheduler/plugin.ts';
export type {
  Configured,
  Cycle,
  Decider,
  Details,
  Filter,
  Outcome,
  Pick,
  Picker,
  ProfileHandler,
  ProfileRun,
  Progress,
  Scorer,
  ScoreUnit,
  Stateful,
  Verdict,
} from '../scheduler/plugin.ts';
export type { Decision } from '../scheduler/decision.ts';
export type { SchedulingRequest } from '../scheduler/request.ts';
export type { FleetView } from '../scheduler/view.ts';

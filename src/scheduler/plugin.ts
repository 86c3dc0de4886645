import type { z } from 'zod';
import type { Random } from '../base/random.ts';
import type { Decision } from './decision.ts';
import type { SchedulingRequest } from './request.ts';
import type { FleetView } from './view.ts';

/** `share`: 0..1, more is better. `seconds`: cost, less is better. A profile does not mix units. */
export type ScoreUnit = 'share' | 'seconds';

/** One run of one profile for one request: what every plugin is given. */
export interface Cycle {
  readonly request: SchedulingRequest;
  readonly view: FleetView;
  /** Slots still in the running. Scores are parallel to it. */
  readonly candidates: Int32Array;
  readonly random: Random;
}

/** Where a scorer leaves the factors behind its score, per candidate, for whoever asks why. */
export interface Details {
  /** A column parallel to the candidates; fill with NaN where a factor is not known. */
  column(name: string): Float64Array;
  /** One value for the whole run, e.g. the least queue among candidates. */
  note(name: string, value: number | string | null): void;
}

export interface Filter<State = unknown> {
  /** Null keeps the endpoint in `slot`; otherwise the reason, in a few words, why it is dropped. */
  drop(cycle: Cycle, slot: number, state: State): string | null;
}

export interface Scorer<State = unknown> {
  /** One finite number per candidate into `scores` (parallel to `cycle.candidates`). */
  score(cycle: Cycle, scores: Float64Array, details: Details, state: State): void;
}

export interface Pick {
  /** Slots in order of preference; the first is the pick. Empty when nothing can be picked. */
  readonly picked: readonly number[];
  /** Slots that shared the best total (one when there was no tie). */
  readonly tied: readonly number[];
}

export interface Picker<State = unknown> {
  /** `totals` is parallel to `cycle.candidates`. */
  pick(cycle: Cycle, totals: Float64Array, state: State): Pick;
}

/** Decides which profile runs next, given the picks so far; null when done. */
export interface ProfileHandler {
  next(request: SchedulingRequest, done: readonly { profile: string; picked: readonly number[] }[]): string | null;
  /** The profile whose pick serves the request. */
  readonly primary: string;
}

/** What happened to a request in the end, as far as it was seen. */
export interface Outcome {
  /** HTTP status the client got; 499 when it left, 0 when nothing was sent. */
  readonly status: number;
  readonly endpoint: string | null;
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
  readonly completionTokens: number | null;
  readonly ttftSeconds: number | null;
  readonly e2eSeconds: number | null;
}

/** State that a plugin keeps between requests. Created and owned by the caller: live, shadow and replay have their own. */
export interface Stateful<State> {
  state(): State;
  commit?(state: State, decision: Decision): void;
  finish?(state: State, decision: Decision, outcome: Outcome): void;
}

interface Common<Kind extends string, Parameters> {
  /** Exactly the file's name, and the name used in configuration. */
  readonly type: string;
  readonly kind: Kind;
  /** One sentence: what it prefers or refuses. */
  readonly summary: string;
  /** Where the rule comes from. */
  readonly source: string;
  readonly parameters: z.ZodType<Parameters>;
}

export interface FilterDefinition<P = unknown> extends Common<'filter', P> {
  create(parameters: P): Filter & Partial<Stateful<unknown>>;
}
export interface ScorerDefinition<P = unknown> extends Common<'scorer', P> {
  readonly unit: ScoreUnit;
  create(parameters: P): Scorer & Partial<Stateful<unknown>>;
}
export interface PickerDefinition<P = unknown> extends Common<'picker', P> {
  readonly unit: ScoreUnit;
  create(parameters: P): Picker & Partial<Stateful<unknown>>;
}
export interface ProfileHandlerDefinition<P = unknown> extends Common<'profile-handler', P> {
  /** `profiles` are the names configured; throws `config_invalid` when they do not suit it. */
  create(parameters: P, profiles: readonly string[]): ProfileHandler;
}
export type PluginDefinition = FilterDefinition | ScorerDefinition | PickerDefinition | ProfileHandlerDefinition;

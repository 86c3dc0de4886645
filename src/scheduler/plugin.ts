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

/** How a session is told: by the token of its last answer, or by an id that the client brings in one of these headers. */
export type SessionRule =
  { readonly by: 'token' } | { readonly by: 'id'; readonly headers: readonly string[]; readonly ttlSeconds: number };

/** A plugin that goes by `request.sessionEndpoint` says how it is to be found. */
interface UsesSessions {
  readonly sessions?: SessionRule;
}

export interface Filter<State = unknown> extends UsesSessions {
  /** Null keeps the endpoint in `slot`; otherwise the reason, in a few words, why it is dropped. */
  drop(cycle: Cycle, slot: number, state: State): string | null;
}

export interface Scorer<State = unknown> extends UsesSessions {
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

/** What a profile that has run came to. */
export interface ProfileRun {
  readonly profile: string;
  /** As `Pick.picked`. */
  readonly picked: readonly number[];
  /** The total of the first of them; NaN without one. */
  readonly total: number;
}

/** How far a request has come: the profiles that have run, in their order. */
export interface Progress {
  readonly request: SchedulingRequest;
  readonly view: FleetView;
  readonly done: readonly ProfileRun[];
}

/** Which profiles run, and which of their picks does what. Pure: asked twice it says the same. */
export interface ProfileHandler {
  /** The profile to run next; null when there is no more to run. */
  next(progress: Progress): string | null;
  /** What the picks are for, once `next` has nothing left. */
  settle(progress: Progress): Settlement;
}

interface Settlement {
  /** The profile whose pick serves the request. */
  readonly serves: string;
  /** The profile whose pick computes the prompt for it; null where one does both. */
  readonly prefills: string | null;
  /** Why prefill and decode are apart or not; null where that is no question. */
  readonly verdict: Verdict | null;
}

/** Whether prefill and decode of a request go to two endpoints. */
export interface Verdict {
  /** The decider's name, or the handler's where it needed none. */
  readonly by: string;
  readonly split: boolean;
  /** In a few words. */
  readonly reason: string;
  readonly details: Readonly<Record<string, number | string | null>>;
}

/** Says whether the prompt is computed apart from where its answer is decoded. */
export interface Decider {
  /** Whether it compares the picks of all profiles, which then run first; else it knows only where decode would be. */
  readonly comparesPicks: boolean;
  decide(question: SplitQuestion): Omit<Verdict, 'by'>;
}

/** The runs a decider may look at; null where there is none, or where nothing was picked. */
interface SplitQuestion {
  readonly request: SchedulingRequest;
  readonly view: FleetView;
  /** Where both would be done. */
  readonly together: ProfileRun;
  readonly decode: ProfileRun;
  readonly prefill: ProfileRun | null;
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

interface FilterDefinition<P = unknown> extends Common<'filter', P> {
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
  /** Throws `config_invalid` when what is configured does not suit it. */
  create(parameters: P, configured: Configured): ProfileHandler;
}
export interface DeciderDefinition<P = unknown> extends Common<'decider', P> {
  create(parameters: P): Decider;
}

/** What a profile handler may refer to. */
export interface Configured {
  readonly profiles: readonly string[];
  readonly deciders: ReadonlyMap<string, Decider>;
}

export type PluginDefinition =
  FilterDefinition | ScorerDefinition | PickerDefinition | ProfileHandlerDefinition | DeciderDefinition;

/** Gives the definition back; it is here for its types. `create` is given the parameters as the schema has them. */
export function definePlugin<P>(definition: FilterDefinition<P>): FilterDefinition<P>;
export function definePlugin<P>(definition: ScorerDefinition<P>): ScorerDefinition<P>;
export function definePlugin<P>(definition: PickerDefinition<P>): PickerDefinition<P>;
export function definePlugin<P>(definition: ProfileHandlerDefinition<P>): ProfileHandlerDefinition<P>;
export function definePlugin<P>(definition: DeciderDefinition<P>): DeciderDefinition<P>;
export function definePlugin(definition: unknown): unknown {
  return definition;
}

import type { ScoreUnit, Verdict } from './plugin.ts';
import type { PrefixLookup } from './view.ts';

/**
 * The record of one decision, kept as numbers: everything shown to anybody (log steps, headers, explain, API, journal)
 * is a rendering of it. Columns are parallel to `candidates`. NaN is "not known".
 * It holds no prompt text, no header values and no secrets: lengths, and hashes that nobody can make without the seed.
 */
export interface Decision {
  readonly id: string;
  readonly requestId: string;
  readonly epochMs: number;
  /** The same moment on the monotonic clock, for rules that look back over time. */
  readonly nowMs: number;
  readonly model: string;
  readonly kind: string;
  readonly streaming: boolean;
  readonly promptTokens: number;
  readonly promptCharacters: number;
  readonly maxOutputTokens: number | null;
  readonly splittable: boolean;
  readonly sessionEndpoint: string | null;
  /** Names, never values. */
  readonly headerNames: readonly string[];
  readonly policy: { readonly name: string; readonly hash: string };
  /** Seed of the random source used for this decision: with inputs and policy it repeats the pick. */
  readonly seed: number;
  /** `band` is the priority. */
  readonly admission: {
    readonly verdict: 'admitted' | 'rejected';
    readonly queuedSeconds: number;
    readonly band: string;
    readonly fairnessId: string;
    /**
     * What waited ahead of it when it came, and in how many seconds it was thought to be placed (NaN: not known); null
     * when it did not wait.
     */
    readonly ahead: { readonly requests: number; readonly seconds: number } | null;
    /** Why it was turned away rather than placed; null when it was not, or nothing was there to decide on. */
    readonly shed: ShedReason | null;
    /** Endpoints that were left out because their KV cache had no room for it. */
    readonly leftOut: readonly string[];
  };
  /** Everything that was eligible when the scheduler looked. */
  readonly candidates: readonly Candidate[];
  readonly inputs: DecisionInputs;
  readonly prefixLookup: PrefixLookup | null;
  /** Null where the prompt has no whole block, or nobody hashed it. */
  readonly prefixBlocks: PrefixBlocks | null;
  /** In the order they ran. */
  readonly profiles: readonly ProfileRecord[];
  /** Index into `profiles` of the one whose pick serves the request; -1 when it did not run. */
  readonly primaryProfile: number;
  /** Index into `candidates` of the one that is to serve the request; -1 when none could. */
  readonly picked: number;
  /** Whether prefill and decode are apart; null where the policy does not ask. */
  readonly disaggregation: Disaggregation | null;
  /** A few words: why this endpoint. */
  readonly reason: string;
  readonly predicted: { cachedTokens: number; ttftSeconds: number; e2eSeconds: number };
  readonly schedulerSeconds: number;
  /** Filled while the request is on its way, in order; the last one served it (or failed last). */
  attempts: Attempt[];
  /** What policies in shadow say they would have done, where they were asked. */
  readonly shadow: ShadowPick[];
  /** Null until the request has ended. */
  outcome: DecisionOutcome | null;
}

/**
 * Its first token could not have come in time, as it stood when it came (`too-late`) or while it waited (`missed`); too
 * many waited (`queue-full`); it waited for too long (`expired`); a higher priority took its room to wait (`made-room`).
 */
export type ShedReason = 'too-late' | 'missed' | 'queue-full' | 'expired' | 'made-room';

/** How a prompt begins, without its text: seeded hashes of its first blocks, of its first two, and so on. */
export interface PrefixBlocks {
  /** By the estimate of the prompt's length. */
  readonly tokensPerBlock: number;
  /** The low and the high half of each hash in turn. */
  readonly hashes: Int32Array;
}

export interface Candidate {
  readonly endpoint: string;
  readonly address: string;
  readonly role: string | null;
}

/** What the scheduler saw of each candidate, copied at that moment. */
export interface DecisionInputs {
  readonly waiting: Float64Array;
  readonly running: Float64Array;
  readonly othersInFlight: Float64Array;
  readonly kvUsage: Float64Array;
  readonly inFlight: Float64Array;
  readonly queuedPrefillTokens: Float64Array;
  readonly queuedPrefillSeconds: Float64Array;
  readonly contextTokens: Float64Array;
  readonly cachedTokens: Float64Array;
  /** Seconds the request's own prefill would take. */
  readonly prefillSeconds: Float64Array;
  readonly ageMs: Float64Array;
  readonly speed: Float64Array;
  /** Share of its time that its engine has spent on prompts lately; known where a decider was asked. */
  readonly prefillShare: Float64Array;
}

export interface ProfileRecord {
  readonly name: string;
  /** Indexes into `Decision.candidates` of what came into this profile. */
  readonly candidates: Int32Array;
  readonly filters: readonly {
    readonly plugin: string;
    readonly type: string;
    readonly kept: Int32Array;
    readonly dropped: readonly { readonly candidate: number; readonly reason: string }[];
  }[];
  /** Parallel columns below are over the candidates left after the filters. */
  readonly scored: Int32Array;
  readonly scorers: readonly {
    readonly plugin: string;
    readonly type: string;
    readonly unit: ScoreUnit;
    readonly weight: number;
    readonly scores: Float64Array;
    readonly columns: Readonly<Record<string, Float64Array>>;
    readonly notes: Readonly<Record<string, number | string | null>>;
  }[];
  readonly totals: Float64Array;
  /** Whose scores they are. */
  readonly scoredBy: readonly { readonly plugin: string; readonly type: string }[];
  /** Of scores, factors behind them and totals. */
  readonly columnCount: number;
  readonly picker: {
    readonly plugin: string;
    readonly type: string;
    readonly tied: Int32Array;
    readonly picked: Int32Array;
  };
}

/** What a policy without effect would have done, and what is predicted of that. */
export interface ShadowPick {
  readonly policy: string;
  readonly picked: string | null;
  readonly ttftSeconds: number;
  readonly cachedTokens: number;
}

/** Prefill and decode of one request: at one endpoint or at two. */
interface Disaggregation extends Verdict {
  /** Index into `Decision.profiles` of the one that picked where the prompt is computed; -1 when it is not split. */
  readonly profile: number;
  /** Index into `Decision.candidates` of where the prompt is to be computed; -1 when it is not split. */
  readonly prefill: number;
  /** Prefills tried, in order. With none answered the prompt was computed where it was decoded. */
  readonly attempts: Attempt[];
}

interface Attempt {
  readonly endpoint: string;
  /** HTTP status from the endpoint; null when none came. */
  status: number | null;
  /** Why it was tried or left, in a few words. */
  reason: string;
}

interface DecisionOutcome {
  readonly status: number;
  readonly endpoint: string | null;
  /** As the engine counted them. */
  readonly promptTokens?: number | null;
  readonly cachedTokens: number | null;
  readonly ttftSeconds: number | null;
  readonly e2eSeconds: number | null;
  readonly completionTokens: number | null;
}

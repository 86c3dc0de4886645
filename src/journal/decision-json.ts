import { knownOrNull } from '../base/unknown.ts';
import type { Decision, ProfileRecord } from '../scheduler/decision.ts';
import type { FlipsJson } from './flips.ts';

/** Version of the JSON form below. */
const version = 1;
/** Above this many candidates only the best are written out, and the rest counted. */
const listLimit = 64;
const bestListed = 16;

/** A Decision as the admin API, the journal and `--json` show it. Unknown numbers are null. */
export interface DecisionJson {
  version: number;
  id: string;
  requestId: string;
  /** ISO 8601. */
  time: string;
  model: string;
  kind: string;
  streaming: boolean;
  promptTokens: number;
  policy: { name: string; hash: string };
  seed: number;
  admission: {
    verdict: string;
    queuedSeconds: number;
    /** The priority. */
    band: string;
    fairnessId: string;
    /** `seconds` null: not known. */
    ahead: { requests: number; seconds: number | null } | null;
    /** Why it was turned away. */
    shed: string | null;
    /** Endpoints without room for it in their KV cache. */
    leftOut: string[];
  };
  inputs: Record<string, InputsJson>;
  profiles: ProfileJson[];
  reason: string;
  predicted: { cachedTokens: number | null; ttftSeconds: number | null; e2eSeconds: number | null };
  schedulerSeconds: number;
  /** Null when none could serve it. */
  picked: string | null;
  /** Null where the policy does not ask whether prefill and decode are apart. */
  disaggregation: DisaggregationJson | null;
  attempts: { endpoint: string; status: number | null; reason: string }[];
  shadow: { policy: string; picked: string | null; ttftSeconds: number | null; cachedTokens: number | null }[];
  outcome: OutcomeJson | null;
  /** Only when asked for. */
  flips?: FlipsJson;
}

interface DisaggregationJson {
  /** Who decided: a decider's name or the profile handler's type. */
  by: string;
  split: boolean;
  reason: string;
  details: Record<string, number | string | null>;
  /** Where the prompt was to be computed; null when where it is decoded. */
  prefill: string | null;
  attempts: { endpoint: string; status: number | null; reason: string }[];
}

interface InputsJson {
  waiting: number | null;
  running: number | null;
  othersInFlight: number | null;
  kvUsage: number | null;
  inFlight: number | null;
  queuedPrefillTokens: number | null;
  queuedPrefillSeconds: number | null;
  contextTokens: number | null;
  cachedTokens: number | null;
  prefillSeconds: number | null;
  ageMs: number | null;
  speed: number | null;
}

export interface ProfileJson {
  name: string;
  /** How many there were; more than `candidates` lists when there are very many. */
  candidateCount: number;
  candidates: { endpoint: string; address: string }[];
  filters: { plugin: string; type: string; kept: string[]; dropped: { endpoint: string; reason: string }[] }[];
  scorers: {
    plugin: string;
    type: string;
    unit: string;
    weight: number;
    scores: Record<string, number>;
    details: Record<string, number | string | null | Record<string, number | null>>;
  }[];
  totals: Record<string, number>;
  picker: { plugin: string; tied: string[]; picked: string[] };
}

interface OutcomeJson {
  status: number;
  endpoint: string | null;
  promptTokens: number | null;
  cachedTokens: number | null;
  ttftSeconds: number | null;
  e2eSeconds: number | null;
  completionTokens: number | null;
}

function admissionJson({ admission: { ahead, leftOut, ...rest } }: Decision): DecisionJson['admission'] {
  return { ...rest, ahead: ahead && { ...ahead, seconds: knownOrNull(ahead.seconds) }, leftOut: [...leftOut] };
}

export function decisionJson(decision: Decision): DecisionJson {
  const listed = listedCandidates(decision);
  const { inputs, predicted, outcome } = decision;
  return {
    version,
    id: decision.id,
    requestId: decision.requestId,
    time: new Date(decision.epochMs).toISOString(),
    model: decision.model,
    kind: decision.kind,
    streaming: decision.streaming,
    promptTokens: decision.promptTokens,
    policy: decision.policy,
    seed: decision.seed,
    admission: admissionJson(decision),
    inputs: Object.fromEntries(
      listed.map((index) => [
        decision.candidates[index]!.endpoint,
        {
          waiting: knownOrNull(inputs.waiting[index]),
          running: knownOrNull(inputs.running[index]),
          othersInFlight: knownOrNull(inputs.othersInFlight[index]),
          kvUsage: knownOrNull(inputs.kvUsage[index]),
          inFlight: knownOrNull(inputs.inFlight[index]),
          queuedPrefillTokens: knownOrNull(inputs.queuedPrefillTokens[index]),
          queuedPrefillSeconds: knownOrNull(inputs.queuedPrefillSeconds[index]),
          contextTokens: knownOrNull(inputs.contextTokens[index]),
          cachedTokens: knownOrNull(inputs.cachedTokens[index]),
          prefillSeconds: knownOrNull(inputs.prefillSeconds[index]),
          ageMs: knownOrNull(inputs.ageMs[index]),
          speed: knownOrNull(inputs.speed[index]),
        },
      ]),
    ),
    profiles: decision.profiles.map((profile) => profileJson(decision, profile, new Set(listed))),
    reason: decision.reason,
    predicted: {
      cachedTokens: knownOrNull(predicted.cachedTokens),
      ttftSeconds: knownOrNull(predicted.ttftSeconds),
      e2eSeconds: knownOrNull(predicted.e2eSeconds),
    },
    schedulerSeconds: decision.schedulerSeconds,
    picked: decision.candidates[decision.picked]?.endpoint ?? null,
    disaggregation: disaggregationJson(decision),
    attempts: decision.attempts,
    shadow: decision.shadow.map(({ policy, picked, ttftSeconds, cachedTokens }) => ({
      policy,
      picked,
      ttftSeconds: knownOrNull(ttftSeconds),
      cachedTokens: knownOrNull(cachedTokens),
    })),
    outcome: outcome && { ...outcome, promptTokens: outcome.promptTokens ?? null },
  };
}

function disaggregationJson({ disaggregation, candidates }: Decision): DisaggregationJson | null {
  if (disaggregation === null) return null;
  const { by, split, reason, details, prefill, attempts } = disaggregation;
  return { by, split, reason, details, prefill: candidates[prefill]?.endpoint ?? null, attempts };
}

function profileJson(decision: Decision, profile: ProfileRecord, listed: ReadonlySet<number>): ProfileJson {
  const nameOf = (index: number): string => decision.candidates[index]!.endpoint;
  const names = (indexes: Int32Array): string[] =>
    Array.from(
      indexes.filter((index) => listed.has(index)),
      nameOf,
    );
  /** A column over the scored candidates, by endpoint. */
  const byEndpoint = <V>(column: Float64Array, value: (n: number) => V): Record<string, V> => {
    const entries: [string, V][] = [];
    profile.scored.forEach((index, i) => {
      if (listed.has(index)) entries.push([nameOf(index), value(column[i]!)]);
    });
    return Object.fromEntries(entries);
  };
  return {
    name: profile.name,
    candidateCount: profile.candidates.length,
    candidates: Array.from(profile.candidates)
      .filter((index) => listed.has(index))
      .map((index) => ({ endpoint: nameOf(index), address: decision.candidates[index]!.address })),
    filters: profile.filters.map(({ plugin, type, kept, dropped }) => ({
      plugin,
      type,
      kept: names(kept),
      dropped: dropped
        .filter(({ candidate }) => listed.has(candidate))
        .map(({ candidate, reason }) => ({ endpoint: nameOf(candidate), reason })),
    })),
    scorers: profile.scorers.map(({ plugin, type, unit, weight, scores, columns, notes }) => ({
      plugin,
      type,
      unit,
      weight,
      scores: byEndpoint(scores, (score) => score),
      details: {
        ...notes,
        ...Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, byEndpoint(column, knownOrNull)])),
      },
    })),
    totals: byEndpoint(profile.totals, (total) => total),
    picker: { plugin: profile.picker.plugin, tied: names(profile.picker.tied), picked: names(profile.picker.picked) },
  };
}

/** All candidates, or of very many those with the best totals, the ones picked first. */
function listedCandidates(decision: Decision): number[] {
  const all = decision.candidates.map((_, index) => index);
  if (all.length <= listLimit) return all;
  const profile = decision.profiles[decision.primaryProfile];
  if (profile === undefined || profile.scored.length === 0) return all.slice(0, bestListed);
  const sign = profile.scorers[0]?.unit === 'seconds' ? 1 : -1;
  const prefill = decision.disaggregation?.prefill ?? -1;
  const isChosen = (index: number): number => Number(index === decision.picked || index === prefill);
  const listed = Array.from(profile.scored, (index, i) => ({ index, rank: sign * profile.totals[i]! }))
    .sort((a, b) => isChosen(b.index) - isChosen(a.index) || a.rank - b.rank)
    .slice(0, bestListed)
    .map(({ index }) => index);
  return prefill < 0 || listed.includes(prefill) ? listed : [...listed, prefill];
}

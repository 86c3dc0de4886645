import type { Candidate, Decision, PrefixBlocks, ShedReason } from './decision.ts';
import { roleOf } from './endpoint.ts';
import { InputColumns } from './input-columns.ts';
import type { Policy, Profile } from './policy.ts';
import type { Caller, SchedulingRequest } from './request.ts';
import type { Schedule } from './schedule.ts';
import type { ScoredProfile } from './score-sheet.ts';
import type { FleetView } from './view.ts';

/** What the record needs beyond the scheduler's own arguments. */
interface RecordContext {
  readonly id: string;
  readonly epochMs: number;
  readonly seed: number;
  readonly queuedSeconds: number;
  readonly caller: Caller;
  readonly ahead: Decision['admission']['ahead'];
  /** Why it goes nowhere although the scheduler had a place; null when it does. */
  readonly rejection: { readonly shed: ShedReason; readonly message: string } | null;
  readonly leftOut: readonly string[];
  readonly schedulerSeconds: number;
  readonly prefixBlocks: PrefixBlocks | null;
  readonly predicted: { readonly ttftSeconds: number; readonly e2eSeconds: number };
}

/** The Decision of one run of the scheduler, with its inputs copied: the view's columns go on living. */
export function recordDecision(
  policy: Policy,
  request: SchedulingRequest,
  view: FleetView,
  result: Schedule,
  context: RecordContext,
): Decision {
  const slots = view.eligible;
  const candidates = candidatesOf(view);
  const winner = result.picked[0];
  const picked = winner === undefined ? -1 : slots.indexOf(winner);
  const [helper] = result.prefillPicked;
  const prefill = helper === undefined ? -1 : slots.indexOf(helper);
  const computing = helper ?? winner;
  const cachedTokens = computing === undefined ? NaN : (view.cachedTokens()[computing] ?? NaN);
  return {
    id: context.id,
    requestId: request.requestId,
    epochMs: context.epochMs,
    nowMs: view.nowMs,
    model: request.model,
    kind: request.kind,
    streaming: request.streaming,
    promptTokens: request.promptTokens,
    promptCharacters: request.promptCharacters ?? NaN,
    maxOutputTokens: request.maxOutputTokens,
    splittable: request.splittable ?? true,
    sessionEndpoint: request.sessionEndpoint,
    headerNames: namesOf(request.headers),
    policy,
    seed: context.seed,
    admission: admissionOf(context, picked),
    candidates,
    inputs: new InputColumns(view, result.verdict !== null),
    prefixLookup: view.prefixLookup?.() ?? null,
    prefixBlocks: context.prefixBlocks,
    profiles: result.profiles,
    primaryProfile: result.primary,
    picked,
    disaggregation: result.verdict && {
      ...result.verdict,
      profile: result.prefill,
      prefill,
      attempts: [],
    },
    reason: context.rejection?.message ?? reasonOf(result.profiles[result.primary], picked, candidates.length),
    predicted: { cachedTokens, ttftSeconds: context.predicted.ttftSeconds, e2eSeconds: context.predicted.e2eSeconds },
    schedulerSeconds: context.schedulerSeconds,
    attempts: [],
    shadow: [],
    outcome: null,
  };
}

/** The latest of each kind that many requests have alike: a Decision is kept of each, and what they share is kept once. */
let latestNames: readonly string[] = [];
let latestAdmission: Decision['admission'] | null = null;

function namesOf(headers: SchedulingRequest['headers']): readonly string[] {
  const names = Object.keys(headers);
  const isSame = names.length === latestNames.length && names.every((name, at) => name === latestNames[at]);
  if (!isSame) latestNames = names;
  return latestNames;
}

function admissionOf(
  { queuedSeconds, caller, ahead, rejection, leftOut }: RecordContext,
  picked: number,
): Decision['admission'] {
  const band = String(caller.priority);
  const { fairnessId } = caller;
  const isPlain = picked >= 0 && queuedSeconds === 0 && ahead === null && rejection === null && leftOut.length === 0;
  if (isPlain && latestAdmission?.band === band && latestAdmission.fairnessId === fairnessId) return latestAdmission;
  const verdict = picked < 0 || rejection !== null ? 'rejected' : 'admitted';
  const shed = rejection?.shed ?? null;
  const admission = { verdict, queuedSeconds, band, fairnessId, ahead, shed, leftOut } as const;
  if (isPlain) latestAdmission = admission;
  return admission;
}

/** By the list of slots, which stays the same one until the fleet changes. */
const candidatesBySlots = new WeakMap<Int32Array, readonly Candidate[]>();

function candidatesOf({ eligible, endpoints }: FleetView): readonly Candidate[] {
  let candidates = candidatesBySlots.get(eligible);
  if (candidates === undefined) {
    candidates = Array.from(eligible, (slot) => {
      const endpoint = endpoints[slot]!;
      return { endpoint: endpoint.name, address: endpoint.address, role: roleOf(endpoint) };
    });
    candidatesBySlots.set(eligible, candidates);
  }
  return candidates;
}

/** A few words: what made the total of the one picked, or why there is none. */
function reasonOf(scored: ScoredProfile | undefined, picked: number, candidateCount: number): string {
  if (candidateCount === 0) return 'no endpoint is ready';
  if (scored === undefined || picked < 0) return 'every endpoint was filtered out';
  const names = termNamesOf(scored.profile);
  const scores = scored.scoresAt(scored.scored.indexOf(picked));
  let reason = names.length === 0 ? 'no scorer' : '';
  for (let i = 0; i < names.length; i++) {
    const { unit, weight } = scored.profile.scorers[i]!;
    reason += `${i === 0 ? '' : ' + '}${names[i]!} `;
    reason += unit === 'seconds' ? `${secondsText(scores[i]!)}s` : `${scores[i]!.toFixed(2)}x${weight}`;
  }
  if (scored.scored.length === 1) return `${reason}, the only candidate`;
  const { tied } = scored.picker;
  return tied.length > 1 ? `${reason}, random among ${tied.length} equal` : reason;
}

/** To milliseconds. Most are none, which `toFixed` takes as long for as for others. */
function secondsText(seconds: number): string {
  return seconds >= 0 && seconds < 0.0005 ? '0.000' : seconds.toFixed(3);
}

const termNames = new WeakMap<Profile, readonly string[]>();

function termNamesOf(profile: Profile): readonly string[] {
  let names = termNames.get(profile);
  if (names === undefined) {
    names = profile.scorers.map(({ type }) => type.replace(/-(aware-|affinity-)?(scorer|cost)$/, ''));
    termNames.set(profile, names);
  }
  return names;
}

import { numbers } from '../base/numbers.ts';
import type { Candidate, Decision, DecisionInputs, PrefixBlocks, ProfileRecord, ShedReason } from './decision.ts';
import { roleOf } from './endpoint.ts';
import type { Policy } from './policy.ts';
import type { Caller, SchedulingRequest } from './request.ts';
import type { Schedule } from './schedule.ts';
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
  const copy = (column: Float64Array): Float64Array => {
    const copied = numbers(slots.length);
    for (let i = 0; i < copied.length; i++) copied[i] = column[slots[i]!] ?? NaN;
    return copied;
  };
  const inputs: DecisionInputs = {
    waiting: copy(view.waiting),
    running: copy(view.running),
    othersInFlight: copy(view.othersInFlight),
    kvUsage: copy(view.kvUsage),
    inFlight: copy(view.inFlight),
    queuedPrefillTokens: copy(view.queuedPrefillTokens),
    queuedPrefillSeconds: copy(view.queuedPrefillSeconds),
    contextTokens: copy(view.contextTokens),
    cachedTokens: copy(view.cachedTokens()),
    prefillSeconds: copy(view.prefillSeconds()),
    ageMs: copy(view.gaugeAgeMs),
    speed: copy(view.speed),
  };
  const candidates = candidatesOf(view);
  const winner = result.picked[0];
  const picked = winner === undefined ? -1 : slots.indexOf(winner);
  const [helper] = result.prefillPicked;
  const prefill = helper === undefined ? -1 : slots.indexOf(helper);
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
    headerNames: Object.keys(request.headers),
    policy: { name: policy.name, hash: policy.hash },
    seed: context.seed,
    admission: {
      verdict: picked < 0 || context.rejection !== null ? 'rejected' : 'admitted',
      queuedSeconds: context.queuedSeconds,
      band: String(context.caller.priority),
      fairnessId: context.caller.fairnessId,
      ahead: context.ahead,
      shed: context.rejection?.shed ?? null,
      leftOut: context.leftOut,
    },
    candidates,
    inputs,
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
    predicted: { cachedTokens: inputs.cachedTokens[prefill < 0 ? picked : prefill] ?? NaN, ...context.predicted },
    schedulerSeconds: context.schedulerSeconds,
    attempts: [],
    shadow: [],
    outcome: null,
  };
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
function reasonOf(profile: ProfileRecord | undefined, picked: number, candidateCount: number): string {
  if (candidateCount === 0) return 'no endpoint is ready';
  if (profile === undefined || picked < 0) return 'every endpoint was filtered out';
  const at = profile.scored.indexOf(picked);
  const terms = profile.scorers.map(({ type, unit, weight, scores }) => {
    const name = type.replace(/-(aware-|affinity-)?(scorer|cost)$/, '');
    const score = scores[at] ?? 0;
    return unit === 'seconds' ? `${name} ${score.toFixed(3)}s` : `${name} ${score.toFixed(2)}x${weight}`;
  });
  if (terms.length === 0) terms.push('no scorer');
  if (profile.scored.length === 1) terms.push('the only candidate');
  else if (profile.picker.tied.length > 1) terms.push(`random among ${profile.picker.tied.length} equal`);
  return terms.join(' + ').replaceAll(' + random', ', random').replaceAll(' + the only', ', the only');
}

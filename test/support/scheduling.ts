import type { Decision } from '../../src/scheduler/decision.ts';
import { type Policy, newStates } from '../../src/scheduler/policy.ts';
import { recordDecision } from '../../src/scheduler/record.ts';
import { anyCaller, type SchedulingRequest } from '../../src/scheduler/request.ts';
import { schedule } from '../../src/scheduler/schedule.ts';
import type { FleetView, PrefixLookup } from '../../src/scheduler/view.ts';
import { walkthroughModel } from './walkthrough-prompts.ts';

/** One endpoint's row of a view; what is left out is idle, or not known. */
export interface Row {
  name: string;
  role?: string | undefined;
  eligible?: boolean | undefined;
  inFlight?: number | undefined;
  queuedPrefillTokens?: number | undefined;
  waiting?: number | undefined;
  running?: number | undefined;
  othersInFlight?: number | undefined;
  ageMs?: number | undefined;
  kvUsage?: number | undefined;
  contextTokens?: number | undefined;
  queuedPrefillSeconds?: number | undefined;
  prefillSeconds?: number | undefined;
  cachedTokens?: number | undefined;
}

export function viewOf(rows: readonly Row[], prefixLookup?: PrefixLookup): FleetView {
  const column = (value: (row: Row) => number | undefined, missing: number): Float64Array =>
    Float64Array.from(rows, (row) => value(row) ?? missing);
  const cachedTokens = column((row) => row.cachedTokens, 0);
  const prefillSeconds = column((row) => row.prefillSeconds, 0.01);
  return {
    nowMs: 0,
    endpoints: rows.map(({ name, role }, slot) => ({
      name,
      address: `127.0.0.1:${8000 + slot}`,
      labels: role === undefined ? {} : { 'llm-d.ai/role': role },
    })),
    eligible: Int32Array.from(rows.flatMap((row, slot) => (row.eligible === false ? [] : [slot]))),
    inFlight: column((row) => row.inFlight, 0),
    queuedPrefillTokens: column((row) => row.queuedPrefillTokens, 0),
    queuedPrefillSeconds: column((row) => row.queuedPrefillSeconds ?? (row.queuedPrefillTokens ?? 0) / 10_000, 0),
    contextTokens: column((row) => row.contextTokens, 0),
    waiting: column((row) => row.waiting, NaN),
    running: column((row) => row.running, NaN),
    othersInFlight: column((row) => row.othersInFlight, NaN),
    kvUsage: column((row) => row.kvUsage, NaN),
    gaugeAgeMs: column((row) => row.ageMs, NaN),
    speed: column(() => 1, 1),
    cachedTokens: () => cachedTokens,
    prefillSeconds: () => prefillSeconds,
    ...(prefixLookup === undefined ? {} : { prefixLookup: () => prefixLookup }),
  };
}

export function requestOf(fields: Partial<SchedulingRequest> = {}): SchedulingRequest {
  return {
    requestId: 'request-1',
    model: walkthroughModel,
    kind: 'completions',
    streaming: false,
    promptTokens: 96,
    promptCharacters: 387,
    maxOutputTokens: 500,
    sessionEndpoint: null,
    headers: { 'content-type': 'application/json' },
    ...fields,
  };
}

export function decide(policy: Policy, request: SchedulingRequest, view: FleetView, seed: number): Decision {
  return recordDecision(policy, request, view, schedule(policy, newStates(policy), request, view, seed), {
    id: `decision-${seed}`,
    epochMs: Date.UTC(2025, 4, 16, 18, 0, 0),
    seed,
    queuedSeconds: 0,
    caller: anyCaller,
    ahead: null,
    rejection: null,
    schedulerSeconds: 0.0001,
    predicted: { ttftSeconds: NaN, e2eSeconds: NaN },
  });
}

export function pickedName(decision: Decision): string | null {
  return decision.candidates[decision.picked]?.endpoint ?? null;
}

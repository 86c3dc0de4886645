import type { ShedReason } from '../scheduler/decision.ts';
import { goDurationMs } from './llm-d-flags.ts';

const outcomes: Readonly<Record<ShedReason, string>> = {
  'queue-full': 'RejectedCapacity',
  'too-late': 'RejectedOther',
  missed: 'EvictedOther',
  expired: 'EvictedTTL',
  'made-room': 'EvictedOther',
};

/** What became of a request, in llm-d's words. */
export function flowControlOutcome(shed: ShedReason | null, picked: number): string {
  return shed !== null ? outcomes[shed] : picked < 0 ? 'EvictedNoEndpoints' : 'Dispatched';
}

const droppedReasons: Readonly<Record<ShedReason, string>> = {
  'queue-full': 'rejected-saturated',
  'too-late': 'rejected-saturated',
  missed: 'rejected-ttl-expired',
  expired: 'rejected-ttl-expired',
  'made-room': 'evicted-priority',
};

/** Why it was dropped, as llm-d's EPP says it in a header; null where nothing was to be decided. */
export function droppedReason(shed: ShedReason | null): string | null {
  return shed === null ? null : droppedReasons[shed];
}

type Given = Readonly<Record<string, unknown>>;

/** Members of llm-d's `flowControl` that have no counterpart, and why nothing is missing. */
export const flowControlLost: Readonly<Record<string, string>> = {
  maxRequests: 'the bands limit how many wait, each for itself',
  defaultNegativePriorityBand: 'defaultBand holds for every priority that has no band',
  usageLimitPolicyPluginRef: 'room is kept for higher priorities by what they asked for of late',
  saturationDetector: 'the fleet is full where no endpoint promises the first token within ttftTargetSeconds',
  enableEviction: 'a request of a lower priority of which no byte has come is always taken back, to wait again',
};

/** llm-d's `flowControl` in our terms; members that are ours already stay. What cannot be read is left to be refused. */
export function llmDFlowControl(given: Given): Record<string, unknown> {
  const { maxBytes, defaultRequestTTL, noEndpointRequestTTL, defaultPriorityBand, priorityBands, ...rest } = given;
  const own = Object.fromEntries(Object.entries(rest).filter(([name]) => flowControlLost[name] === undefined));
  const ttlSeconds = secondsOf(defaultRequestTTL);
  const waitSeconds = secondsOf(noEndpointRequestTTL);
  const theirs = Array.isArray(priorityBands) ? (priorityBands as Given[]) : [];
  const order = [defaultPriorityBand as Given | undefined, ...theirs].map(orderOf).find((each) => each !== null);
  const band = (each: Given): Given => ({ ...limitsOf(each), ...(ttlSeconds === null ? {} : { ttlSeconds }) });
  const theirDefault = band((defaultPriorityBand ?? {}) as Given);
  return {
    ...(order === undefined ? {} : { order }),
    ...(waitSeconds === null ? {} : { scaleFromZeroSeconds: waitSeconds }),
    ...(Object.keys(theirDefault).length === 0 ? {} : { defaultBand: theirDefault }),
    ...(priorityBands === undefined
      ? {}
      : { bands: theirs.map((each) => ({ priority: each['priority'], ...band(each) })) }),
    // 0 is "no limit" there.
    ...(maxBytes === undefined || maxBytes === 0 ? {} : { maxBytes: bytesOf(maxBytes) }),
    ...own,
  };
}

function limitsOf({ maxBytes, maxRequests }: Given): Given {
  return {
    ...(maxBytes === undefined || maxBytes === 0 ? {} : { maxBytes: bytesOf(maxBytes) }),
    ...(maxRequests === undefined || maxRequests === 0 ? {} : { maxRequests }),
  };
}

function orderOf(band: Given | undefined): string | null {
  const ref = band?.['orderingPolicyRef'];
  if (ref === 'fcfs-ordering-policy') return 'first-come';
  return ref === 'edf-ordering-policy' || ref === 'slo-deadline-ordering-policy' ? 'earliest-deadline' : null;
}

/** 0 is "for ever" there: a day. */
function secondsOf(duration: unknown): number | null {
  const ms = typeof duration === 'string' ? goDurationMs(duration) : null;
  return ms === null ? null : ms === 0 ? 86_400 : ms / 1000;
}

/** A number, or a Kubernetes quantity as `1Gi`. */
function bytesOf(value: unknown): unknown {
  const [, count, unit = ''] = /^(\d+)(Ki|Mi|Gi|k|M|G)?$/.exec(String(value)) ?? [];
  const sizes: Readonly<Record<string, number>> = {
    '': 1,
    Ki: 1024,
    Mi: 1024 ** 2,
    Gi: 1024 ** 3,
    k: 1e3,
    M: 1e6,
    G: 1e9,
  };
  return count === undefined ? value : Number(count) * sizes[unit]!;
}

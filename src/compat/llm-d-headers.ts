import { SignalboxError } from '../base/errors.ts';
import type { Wish } from '../scheduler/request.ts';

/** Headers by which a client says who asks and how soon it wants an answer: llm-d's names, the newer one first. */
const names = {
  objective: ['x-llm-d-inference-objective', 'x-gateway-inference-objective'],
  fairnessId: ['x-llm-d-inference-fairness-id', 'x-gateway-inference-fairness-id'],
  ttftMs: ['x-llm-d-slo-ttft-ms', 'x-slo-ttft-ms'],
  tpotMs: ['x-llm-d-slo-tpot-ms', 'x-slo-tpot-ms'],
} as const;

const maxIdLength = 128;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What a request's headers (lower-case names) say; null when nothing. @throws SignalboxError `request_invalid` */
export function wishOf(headers: Headers): Wish | null {
  const objective = first(headers, names.objective);
  const fairnessId = first(headers, names.fairnessId);
  const ttftTargetSeconds = secondsOf(headers, names.ttftMs);
  const tpotTargetSeconds = secondsOf(headers, names.tpotMs);
  if (objective === null && fairnessId === null && ttftTargetSeconds === null && tpotTargetSeconds === null)
    return null;
  return {
    objective,
    fairnessId: fairnessId?.slice(0, maxIdLength) ?? 'default-flow',
    ttftTargetSeconds,
    tpotTargetSeconds,
  };
}

function first(headers: Headers, [name, alias]: readonly [string, string]): string | null {
  const value = headers[name] ?? headers[alias];
  return typeof value === 'string' && value !== '' ? value : null;
}

function secondsOf(headers: Headers, both: readonly [string, string]): number | null {
  const value = first(headers, both);
  if (value === null) return null;
  const milliseconds = Number(value);
  if (milliseconds > 0 && milliseconds < Infinity) return milliseconds / 1000;
  throw new SignalboxError(
    'request_invalid',
    `${both[0]} must be a number of milliseconds above 0, not "${value.slice(0, 40)}".`,
    {
      param: both[0],
    },
  );
}

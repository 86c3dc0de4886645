import type { RunOutcome } from './run.ts';
import { quantiles, summarise } from './statistics.ts';
import type { Summary } from './statistics.ts';

/** When an answer counts as in time: both at once. */
export interface Slo {
  readonly ttftSeconds: number;
  readonly tpotSeconds: number;
}

/** What one policy did with one workload. */
export interface PolicyResult {
  readonly policy: string;
  /** Whether this is what decides when nothing is configured. */
  readonly default: boolean;
  readonly requests: number;
  readonly completed: number;
  readonly failed: number;
  /** Failed requests by reason. */
  readonly failures: Readonly<Record<string, number>>;
  readonly ttftSeconds: Summary;
  readonly tpotSeconds: Summary;
  readonly e2eSeconds: Summary;
  /** Share of all prompt tokens that engines found in their caches. */
  readonly cachedShare: number;
  /** Share of all requests that were completed within the SLO. */
  readonly inSlo: number;
  readonly perEndpoint: readonly { readonly requests: number; readonly tokens: number }[];
  readonly preemptions: number;
  /** Virtual seconds from the first request to the last answer. */
  readonly spanSeconds: number;
}

/** What a report draws beside the numbers. */
export interface Drawing {
  /** 101 quantiles each, 0 to 100 %. */
  readonly ttftSeconds: readonly number[];
  readonly tpotSeconds: readonly number[];
  readonly e2eSeconds: readonly number[];
  /** Requests by time of arrival (rows) and endpoint that answered (columns). */
  readonly requestsOverTime: readonly (readonly number[])[];
  /** Where the last of those rows ends. */
  readonly lastArrivalSeconds: number;
}

const timeBins = 60;

export function resultOf(
  name: { readonly policy: string; readonly default: boolean },
  endpointCount: number,
  slo: Slo,
  outcome: RunOutcome,
): PolicyResult {
  const { samples } = outcome;
  const perEndpoint = Array.from({ length: endpointCount }, () => ({ requests: 0, tokens: 0 }));
  let completed = 0;
  let inSlo = 0;
  let promptTokens = 0;
  let cachedTokens = 0;
  for (let row = 0; row < samples.count; row++) {
    const share = perEndpoint[samples.endpoint[row]!];
    if (share === undefined) continue;
    completed += 1;
    share.requests += 1;
    share.tokens += samples.promptTokens[row]! + samples.outputTokens[row]!;
    promptTokens += samples.promptTokens[row]!;
    cachedTokens += samples.cachedTokens[row]!;
    // An answer of one token has no time between tokens to be late in.
    const isSlow = samples.tpotSeconds[row]! > slo.tpotSeconds;
    if (samples.ttftSeconds[row]! <= slo.ttftSeconds && !isSlow) inSlo += 1;
  }
  return {
    ...name,
    requests: samples.count,
    completed,
    failed: samples.count - completed,
    failures: Object.fromEntries(outcome.failures),
    ttftSeconds: summarise(samples.ttftSeconds),
    tpotSeconds: summarise(samples.tpotSeconds),
    e2eSeconds: summarise(samples.e2eSeconds),
    cachedShare: promptTokens === 0 ? 0 : cachedTokens / promptTokens,
    inSlo: samples.count === 0 ? 0 : inSlo / samples.count,
    perEndpoint,
    preemptions: outcome.preemptions,
    spanSeconds: outcome.spanSeconds,
  };
}

export function drawingOf(endpointCount: number, outcome: RunOutcome): Drawing {
  const { samples } = outcome;
  const requestsOverTime = Array.from({ length: timeBins }, () => new Array<number>(endpointCount).fill(0));
  const lastArrivalMs = samples.arrivalMs.reduce((last, at) => (at > last ? at : last), 1);
  for (let row = 0; row < samples.count; row++) {
    const bin =
      requestsOverTime[Math.min(timeBins - 1, Math.floor((samples.arrivalMs[row]! / lastArrivalMs) * timeBins))]!;
    const endpoint = samples.endpoint[row]!;
    if (endpoint >= 0) bin[endpoint]! += 1;
  }
  return {
    ttftSeconds: quantiles(samples.ttftSeconds, 100),
    tpotSeconds: quantiles(samples.tpotSeconds, 100),
    e2eSeconds: quantiles(samples.e2eSeconds, 100),
    requestsOverTime,
    lastArrivalSeconds: lastArrivalMs / 1000,
  };
}

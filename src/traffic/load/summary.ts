import { summaryOf } from '../histogram.ts';
import type { Summary } from '../histogram.ts';
import type { Tally } from './tally.ts';

/** What `signalbox load --json` prints. Durations are seconds; null is "not known". */
export interface LoadSummary {
  readonly workload: string;
  readonly url: string;
  readonly model: string;
  readonly durationSeconds: number;
  readonly requests: {
    readonly sent: number;
    readonly completed: number;
    readonly failed: number;
    readonly aborted: number;
    readonly late: number;
  };
  readonly requestsPerSecond: number;
  readonly ttftSeconds: Summary;
  readonly tpotSeconds: Summary;
  readonly e2eSeconds: Summary;
  readonly tokens: { readonly prompt: number; readonly cached: number | null; readonly completion: number };
  readonly cachedShare: number | null;
  readonly errors: readonly { readonly error: string; readonly count: number }[];
  readonly endpoints: readonly EndpointSummary[];
}

interface EndpointSummary {
  readonly endpoint: string;
  readonly requests: number;
  readonly share: number;
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedShare: number | null;
  readonly ttftSeconds: Summary;
  /** Why requests came here, most frequent first; scores in them are means. */
  readonly reasons: readonly { readonly reason: string; readonly count: number }[];
}

export function summarise(
  tally: Tally,
  about: { workload: string; url: string; model: string },
  durationMs: number,
): LoadSummary {
  const placed = [...tally.endpoints.values()].reduce((sum, endpoint) => sum + endpoint.requests, 0);
  const durationSeconds = durationMs / 1000;
  return {
    ...about,
    durationSeconds,
    requests: {
      sent: tally.completed + tally.failed + tally.aborted,
      completed: tally.completed,
      failed: tally.failed,
      aborted: tally.aborted,
      late: tally.late,
    },
    requestsPerSecond: durationSeconds > 0 ? tally.completed / durationSeconds : 0,
    ttftSeconds: summaryOf(tally.ttft),
    tpotSeconds: summaryOf(tally.tpot),
    e2eSeconds: summaryOf(tally.e2e),
    tokens: {
      prompt: tally.promptTokens,
      cached: tally.cached.answers === 0 ? null : tally.cached.cachedTokens,
      completion: tally.completionTokens,
    },
    cachedShare: tally.cached.share,
    errors: [...tally.errors].sort(([, a], [, b]) => b - a).map(([error, count]) => ({ error, count })),
    endpoints: [...tally.endpoints]
      .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
      .map(([endpoint, one]) => ({
        endpoint,
        requests: one.requests,
        share: one.requests / placed,
        failed: one.failed,
        promptTokens: one.promptTokens,
        completionTokens: one.completionTokens,
        cachedShare: one.cached.share,
        ttftSeconds: summaryOf(one.ttft),
        reasons: one.reasons.list(),
      })),
  };
}

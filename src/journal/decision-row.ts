import { knownOrNull } from '../base/unknown.ts';
import type { Decision } from '../scheduler/decision.ts';

/** A Decision as one row of a list. Unknown numbers are null. */
export interface DecisionRowJson {
  id: string;
  requestId: string;
  /** ISO 8601. */
  time: string;
  model: string;
  kind: string;
  streaming: boolean;
  verdict: 'admitted' | 'rejected';
  queuedSeconds: number;
  /** Null when none could serve it. */
  picked: string | null;
  /** The endpoint tried last: where it is, or where it was answered. */
  endpoint: string | null;
  /** Where its prompt is computed, or was tried last to be; null when where it is answered. */
  prefill: string | null;
  attempts: number;
  /** Its answer has begun and not ended. */
  answering: boolean;
  reason: string;
  /** As the engine counted them; an estimate until then. */
  promptTokens: number;
  predictedCachedTokens: number | null;
  predictedTtftSeconds: number | null;
  /** Null until the request has ended. */
  status: number | null;
  cachedTokens: number | null;
  completionTokens: number | null;
  ttftSeconds: number | null;
  e2eSeconds: number | null;
  /** What nobody would have expected, in a few words; null of most. */
  surprise: string | null;
}

export function decisionRow(decision: Decision): DecisionRowJson {
  const { admission, attempts, candidates, picked, predicted, outcome } = decision;
  return {
    id: decision.id,
    requestId: decision.requestId,
    time: new Date(decision.epochMs).toISOString(),
    model: decision.model,
    kind: decision.kind,
    streaming: decision.streaming,
    verdict: admission.verdict,
    queuedSeconds: admission.queuedSeconds,
    picked: candidates[picked]?.endpoint ?? null,
    endpoint: attempts.at(-1)?.endpoint ?? null,
    prefill: prefillOf(decision),
    attempts: attempts.length,
    answering: outcome === null && (attempts.at(-1)?.status ?? 400) < 400,
    reason: decision.reason,
    promptTokens: outcome?.promptTokens ?? decision.promptTokens,
    predictedCachedTokens: knownOrNull(predicted.cachedTokens),
    predictedTtftSeconds: knownOrNull(predicted.ttftSeconds),
    status: outcome?.status ?? null,
    cachedTokens: outcome?.cachedTokens ?? null,
    completionTokens: outcome?.completionTokens ?? null,
    ttftSeconds: outcome?.ttftSeconds ?? null,
    e2eSeconds: outcome?.e2eSeconds ?? null,
    surprise: surpriseOf(decision),
  };
}

function prefillOf({ disaggregation, candidates }: Decision): string | null {
  if (disaggregation === null) return null;
  return disaggregation.attempts.at(-1)?.endpoint ?? candidates[disaggregation.prefill]?.endpoint ?? null;
}

/** A first token this many times later than predicted, and at least so much later, surprises. */
const lateFactor = 2;
const lateSeconds = 0.5;
/** So much of the prompt cached more or less than predicted does as well, if it is more than a block or two. */
const cachedShare = 0.25;
const cachedTokensAtLeast = 64;

function surpriseOf({ attempts, predicted, promptTokens, outcome }: Decision): string | null {
  if (attempts.length > 1) return `tried ${attempts.length} endpoints`;
  if (outcome === null) return null;
  const { ttftSeconds, cachedTokens } = outcome;
  if (ttftSeconds !== null && ttftSeconds > lateFactor * predicted.ttftSeconds) {
    const late = ttftSeconds - predicted.ttftSeconds;
    if (late > lateSeconds) return `first token ${late.toFixed(1)} s later than predicted`;
  }
  if (cachedTokens !== null) {
    const more = cachedTokens - predicted.cachedTokens;
    if (Math.abs(more) > Math.max(cachedTokensAtLeast, cachedShare * (outcome.promptTokens ?? promptTokens))) {
      return `${Math.abs(more)} ${more > 0 ? 'more' : 'fewer'} tokens cached than predicted`;
    }
  }
  return null;
}

/** What a request's silence is measured against. Seconds; NaN where nothing is known yet. */
interface Expected {
  readonly streaming: boolean;
  /** Whether its first token has come. */
  readonly answering: boolean;
  /** Prefill ahead of its first token, its own included. */
  readonly prefillSeconds: number;
  readonly secondsPerOutputToken: number;
  /** The output bound the client gave, null when it gave none. */
  readonly maxOutputTokens: number | null;
}

const leastSeconds = 10;
const mostSeconds = 120;
const mostUnstreamedSeconds = 600;
/** Beyond what is expected, for what nobody counts: a first request's compilation, a preemption. */
const slackSeconds = 5;
const prefillFactor = 4;
/** Between two tokens others' prefill is computed, and a request may be put off for want of KV cache. */
const silentTokens = 100;
const unstreamedFactor = 3;
const unboundedOutputTokens = 8192;

/**
 * How long an endpoint that does answer `/health` may leave a request in silence before it is given up, in milliseconds:
 * several times what was learned of it explains, and in any case bounded. One that answers nothing at all is given up sooner.
 */
export function patienceMs(expected: Expected): number {
  const { streaming, answering, prefillSeconds, secondsPerOutputToken, maxOutputTokens } = expected;
  let seconds = slackSeconds + prefillFactor * prefillSeconds;
  if (answering) seconds += silentTokens * secondsPerOutputToken;
  if (!streaming) seconds += unstreamedFactor * (maxOutputTokens ?? unboundedOutputTokens) * secondsPerOutputToken;
  const most = streaming ? mostSeconds : mostUnstreamedSeconds;
  return 1000 * (Number.isNaN(seconds) ? most : Math.min(most, Math.max(leastSeconds, seconds)));
}

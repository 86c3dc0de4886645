/**
 * What work costs on an engine of reference speed, in seconds. Engines differ mostly by one factor, which is learned
 * (`Speed`): attention costs about 5.2e-5 of a token's matrix work per token of context on every GPU and dense model we
 * have profiles of, and reading the weights for one decode step about as much as 300 tokens of prefill.
 */
const referenceTokensPerSecond = 8000;
const attentionPerContextToken = 5.2e-5;
/** Fixed cost of a prompt, as tokens: its first step's floor and the way through the engine's API server. */
const promptOverheadTokens = 400;
const decodeStepTokens = 360;
const decodePerContextToken = 0.0017;

/** Prefill of `uncached` tokens behind `cached` ones: `c1·n + c2·n·(h + n/2) + c3`. */
export function prefillCost(uncached: number, cached: number): number {
  const tokens = uncached * (1 + attentionPerContextToken * (cached + uncached / 2)) + promptOverheadTokens;
  return tokens / referenceTokensPerSecond;
}

/** Decoding `outputTokens` one after another beside requests that hold `contextTokens` in all. */
export function decodeCost(outputTokens: number, contextTokens: number): number {
  return (outputTokens * (decodeStepTokens + decodePerContextToken * contextTokens)) / referenceTokensPerSecond;
}

import { stepMs } from '../../engine/model/profiles.ts';
import type { StepCoefficients } from '../../engine/model/profiles.ts';
import { levenbergMarquardt } from './levenberg-marquardt.ts';

/** One thing measured at an engine that was otherwise idle. */
export type Observation =
  /** Time to the first token of a prompt that no cache knows. */
  | { readonly kind: 'prefill'; readonly promptTokens: number; readonly ms: number }
  /** Time between tokens while `sequences` requests decode, each with so much context on average. */
  | { readonly kind: 'decode'; readonly sequences: number; readonly contextTokens: number; readonly ms: number }
  /** Longest gap in one answer's stream while a prompt of so many tokens was computed beside it. */
  | { readonly kind: 'interruption'; readonly promptTokens: number; readonly ms: number };

export interface Fit {
  readonly step: StepCoefficients;
  readonly apiOverheadMs: number;
  readonly maxNumBatchedTokens: number;
  /** Relative errors of the fit, over the observations. */
  readonly medianError: number;
  readonly worstError: number;
}

const budgets = [512, 1024, 2048, 4096, 8192, 16_384, 32_768];
const names = [
  'weights',
  'gemmFloor',
  'perToken',
  'perPrefillAttention',
  'perDecodeContext',
  'perSequence',
  'overhead',
] as const;
/** How strongly a coefficient that the measurements say little about is kept near the first guess. */
const priorWeight = 0.005;

/** The step-time coefficients and token budget that explain the observations best, by least squares of relative errors. */
export function fitSteps(observations: readonly Observation[]): Fit {
  const fits = budgets.map((budget) => fitWithBudget(observations, budget));
  return fits.reduce((best, fit) => (fit.cost < best.cost ? fit : best)).fit;
}

function fitWithBudget(observations: readonly Observation[], budget: number): { fit: Fit; cost: number } {
  const guess = firstGuess(observations).map(Math.log);
  const residuals = (logs: readonly number[]): number[] => {
    const { step, apiOverheadMs } = parametersOf(logs);
    return [
      ...observations.map((one) => Math.log(predictedMs(one, step, apiOverheadMs, budget) / one.ms)),
      ...logs.map((log, at) => (log - guess[at]!) * priorWeight),
    ];
  };
  const { parameters, cost } = levenbergMarquardt(residuals, guess);
  const errors = residuals(parameters)
    .slice(0, observations.length)
    .map((error) => Math.abs(Math.expm1(error)))
    .sort((left, right) => left - right);
  const fit = {
    ...parametersOf(parameters),
    maxNumBatchedTokens: budget,
    medianError: errors[errors.length >> 1] ?? NaN,
    worstError: errors.at(-1) ?? NaN,
  };
  return { fit, cost };
}

function parametersOf(logs: readonly number[]): { step: StepCoefficients; apiOverheadMs: number } {
  const value = (name: (typeof names)[number]): number => Math.exp(logs[names.indexOf(name)]!);
  const step = {
    weights: value('weights'),
    gemmFloor: value('gemmFloor'),
    perToken: value('perToken'),
    perPrefillAttention: value('perPrefillAttention'),
    perDecodeContext: value('perDecodeContext'),
    perSequence: value('perSequence'),
    overhead: value('overhead'),
  };
  return { step, apiOverheadMs: Math.exp(logs[names.length]!) };
}

/** From the least time between tokens and the slope over long prompts; the rest in proportion, as in known profiles. */
function firstGuess(observations: readonly Observation[]): number[] {
  const decodes = observations.filter((one) => one.kind === 'decode');
  const prefills = observations
    .filter((one) => one.kind === 'prefill')
    .sort((left, right) => left.promptTokens - right.promptTokens);
  const floorUs = Math.min(...decodes.map(({ ms }) => ms)) * 1000;
  const shortest = prefills[0]!;
  const longest = prefills.at(-1)!;
  const perTokenUs = ((longest.ms - shortest.ms) * 1000) / (longest.promptTokens - shortest.promptTokens);
  const overheadMs = Math.max(1, shortest.ms - floorUs / 1000);
  return [
    floorUs * 0.85,
    floorUs * 0.2,
    Math.max(1, perTokenUs * 0.8),
    Math.max(1, perTokenUs) * 5e-5,
    floorUs * 4e-6,
    floorUs * 3e-4,
    floorUs * 0.12,
    overheadMs,
  ];
}

function predictedMs(one: Observation, step: StepCoefficients, apiOverheadMs: number, budget: number): number {
  if (one.kind === 'decode') {
    return stepMs(step, {
      tokens: one.sequences,
      sequences: one.sequences,
      prefillAttention: 0,
      decodeContext: one.sequences * one.contextTokens,
    });
  }
  // The other answer's token takes one of the budget.
  const beside = one.kind === 'interruption' ? 1 : 0;
  let total = 0;
  let longest = 0;
  for (let computed = 0; computed < one.promptTokens;) {
    const tokens = Math.min(budget - beside, one.promptTokens - computed);
    const ms = stepMs(step, {
      tokens: tokens + beside,
      sequences: 1 + beside,
      prefillAttention: tokens * (computed + tokens / 2),
      decodeContext: 0,
    });
    total += ms;
    longest = Math.max(longest, ms);
    computed += tokens;
  }
  return one.kind === 'interruption' ? longest : apiOverheadMs + total;
}

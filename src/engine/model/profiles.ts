import { SignalboxError } from '../../base/errors.ts';

/**
 * What one engine on one kind of hardware takes for a step, and how much it holds.
 *
 *     step µs = ((weights)⁴ + (gemmFloor + perToken · N)⁴)^¼ + perPrefillAttention · Σ n·(ctx + n/2)
 *             + perDecodeContext · Σ ctx + perSequence · S + overhead
 *
 * N tokens and S sequences in the step; n tokens of a prompt computed behind ctx already there. The first term is the
 * smooth maximum of reading the weights once and of computing; the others are attention and the work of the CPU.
 */
export interface HardwareProfile {
  readonly name: string;
  readonly summary: string;
  readonly step: StepCoefficients;
  /** Tokens that fit into the KV cache. */
  readonly kvCacheTokens: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  /** Microseconds in which the cache of one token comes from another engine. */
  readonly transferPerToken: number;
  /** Spent per request outside the step loop (HTTP, tokenizing, queues between processes). */
  readonly apiOverheadMs: number;
}

/** All in microseconds. */
export interface StepCoefficients {
  readonly weights: number;
  readonly gemmFloor: number;
  readonly perToken: number;
  readonly perPrefillAttention: number;
  readonly perDecodeContext: number;
  readonly perSequence: number;
  readonly overhead: number;
}

export const defaultProfileName = 'llama32-3b-l40s';

/**
 * The RTX rows are fitted to LLMServingSim's kernel tables (MIT) and held against its vLLM run by a test; the 32B row
 * meets llm-d's published prefill rate (8,192 tokens in 0.40 s); the others follow BLIS's coefficients and roofline.
 * The last number of each is its bytes of cache per token over 10 GB/s (PCIe cards), 20 (A100) or 40 GB/s a GPU (H100).
 */
export const hardwareProfiles: Readonly<Record<string, HardwareProfile>> = Object.fromEntries(
  [
    profile(
      'llama32-3b-l40s',
      'Llama 3.2 3B on one L40S',
      [7800, 2500, 36, 2.0e-3, 0.07, 6, 2640],
      290_000,
      256,
      2048,
      50,
      12,
    ),
    profile(
      'llama31-8b-rtx4090',
      'Llama 3.1 8B on one RTX 4090',
      [16_237, 5940, 87.6, 4.56e-3, 0.1415, 6.35, 2500],
      41_408,
      256,
      2048,
      12,
      13,
    ),
    profile(
      'llama31-8b-rtxpro6000',
      'Llama 3.1 8B on one RTX PRO 6000',
      [10_345, 5354, 35.2, 2.59e-3, 0.0914, 3.6, 2600],
      500_000,
      128,
      2048,
      12,
      13,
    ),
    profile(
      'llama31-8b-h100',
      'Llama 3.1 8B on one H100',
      [5500, 1500, 20, 1.06e-3, 0.05, 4.4, 1000],
      467_000,
      256,
      8192,
      12,
      3.3,
    ),
    profile(
      'llama31-8b-a100',
      'Llama 3.1 8B on one A100 80 GB',
      [12_000, 3000, 46, 3.4e-3, 0.08, 5, 2500],
      467_000,
      256,
      8192,
      12,
      6.5,
    ),
    profile(
      'qwen3-32b-2xh100',
      'Qwen3 32B on two H100',
      [13_000, 2500, 40, 2.1e-3, 0.06, 5, 2500],
      275_000,
      256,
      8192,
      12,
      3.3,
    ),
  ].map((row) => [row.name, row]),
);

export function hardwareProfile(name: string): HardwareProfile {
  const found = hardwareProfiles[name];
  if (found !== undefined) return found;
  throw new SignalboxError(
    'config_invalid',
    `There is no hardware profile "${name}"; there are ${Object.keys(hardwareProfiles).join(', ')}.`,
  );
}

function profile(
  name: string,
  summary: string,
  [weights, gemmFloor, perToken, perPrefillAttention, perDecodeContext, perSequence, overhead]: readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ],
  kvCacheTokens: number,
  maxNumSeqs: number,
  maxNumBatchedTokens: number,
  apiOverheadMs: number,
  transferPerToken: number,
): HardwareProfile {
  const step = { weights, gemmFloor, perToken, perPrefillAttention, perDecodeContext, perSequence, overhead };
  return { name, summary, step, kvCacheTokens, maxNumSeqs, maxNumBatchedTokens, transferPerToken, apiOverheadMs };
}

/** What a step has to compute. */
export interface StepWork {
  tokens: number;
  sequences: number;
  /** Σ n·(ctx + n/2) over prompts. */
  prefillAttention: number;
  /** Σ ctx over sequences that decode one token. */
  decodeContext: number;
}

/** Fixed cost of a transfer: the handshake's answer, the notice that it is over, and a step between. */
const transferOverheadMs = 5;

/** Milliseconds in which the cache of so many tokens comes over from another engine. */
export function transferMs(profile: HardwareProfile, tokens: number): number {
  return transferOverheadMs + (profile.transferPerToken * tokens) / 1000;
}

export function stepMs(step: StepCoefficients, work: StepWork): number {
  const compute = step.gemmFloor + step.perToken * work.tokens;
  const us =
    Math.sqrt(Math.sqrt(step.weights ** 4 + compute ** 4)) +
    step.perPrefillAttention * work.prefillAttention +
    step.perDecodeContext * work.decodeContext +
    step.perSequence * work.sequences +
    step.overhead;
  return us / 1000;
}

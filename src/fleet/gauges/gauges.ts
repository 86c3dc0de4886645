import type { Loras } from '../../scheduler/view.ts';
import { llamaCppGauges } from './llama-cpp.ts';
import { sglangGauges } from './sglang.ts';
import { vllmGauges } from './vllm.ts';

/** What an engine says of its load at one moment; NaN where it does not say. */
export interface Gauges {
  readonly waiting: number;
  readonly running: number;
  /** KV-cache use, 0..1. */
  readonly kvUsage: number;
  /** Tokens its KV cache holds. */
  readonly kvCapacityTokens: number;
  /** Its adapters; absent where it says nothing of them. */
  readonly loras?: Loras;
}

/** Reads an engine's `/metrics` (Prometheus text format), whichever engine it is; null when none of ours. */
export function readGauges(text: string): Gauges | null {
  return vllmGauges(text) ?? sglangGauges(text) ?? llamaCppGauges(text);
}

export type Engine = 'vllm' | 'sglang' | 'llama.cpp';

/** Which engine a `/metrics` is of; null when none of ours. */
export function engineOf(text: string): Engine | null {
  if (text.includes('vllm:')) return 'vllm';
  if (text.includes('sglang:')) return 'sglang';
  return text.includes('llamacpp:') ? 'llama.cpp' : null;
}

import type { Loras } from '../../scheduler/view.ts';
import { llamaCppGauges } from './llama-cpp.ts';
import type { PrometheusText } from './prometheus-text.ts';
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

export type Engine = 'vllm' | 'sglang' | 'llama.cpp';

const engines: Readonly<Record<Engine, { prefix: string; gauges: (page: PrometheusText) => Gauges }>> = {
  vllm: { prefix: 'vllm:', gauges: vllmGauges },
  sglang: { prefix: 'sglang:', gauges: sglangGauges },
  'llama.cpp': { prefix: 'llamacpp:', gauges: llamaCppGauges },
};

/** Which engine a `/metrics` is of; null when none of ours. */
export function engineOf(page: PrometheusText): Engine | null {
  const found = Object.entries(engines).find(([, { prefix }]) => page.hasAny(prefix));
  return found === undefined ? null : (found[0] as Engine);
}

/** Reads an engine's `/metrics`, whichever engine it is; null when none of ours. */
export function readGauges(page: PrometheusText): Gauges | null {
  const engine = engineOf(page);
  return engine === null ? null : engines[engine].gauges(page);
}

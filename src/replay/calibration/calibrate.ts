import type { Clock } from '../../base/clock.ts';
import { SignalboxError } from '../../base/errors.ts';
import type { HardwareProfile } from '../../engine/model/profiles.ts';
import { PrometheusText } from '../../fleet/gauges/prometheus-text.ts';
import { fitSteps } from './fit.ts';
import type { Fit, Observation } from './fit.ts';
import type { Probe } from './probe.ts';

interface CalibrationOptions {
  /** Null for the first that the engine names. */
  readonly model: string | null;
  /** Name of the profile that comes out. */
  readonly name: string;
  /** For engines that do not say, or to overrule what they say; null to find out. */
  readonly kvCacheTokens: number | null;
  readonly maxNumSeqs: number | null;
  /** Measurements of each kind; the least disturbed one counts. */
  readonly repeats: number;
  /** Hears how much of all is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

export interface Calibration {
  readonly profile: HardwareProfile;
  readonly fit: Fit;
  readonly observations: readonly Observation[];
}

const promptLengths = [32, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192, 16_384, 32_768];
const decodeTokens = 64;
/** For answers that are to outlast what is measured beside them. */
const longAnswerTokens = 1024;
/** Requests side by side, and the prompt of each. */
const decodeLoads: readonly (readonly [sequences: number, promptTokens: number])[] = [
  [1, 64],
  [1, 16_384],
  [8, 64],
  [32, 64],
  [64, 64],
  [16, 4096],
];
/** More at once are not tried: an engine that runs them all is taken to stop there. */
const mostSequences = 1024;

/** One engine alone hands nothing over; this is a cache of 100 kB a token at 10 GB/s. */
const unmeasuredTransferPerToken = 10;

/**
 * Measures an engine, which should have nothing else to do, in about a minute: prompts of many lengths one by one,
 * answers side by side, a long prompt beside an answer, and more requests than it runs at once.
 * Throws `environment` when the engine cannot be reached, refuses, or is busy.
 */
export async function calibrate(probe: Probe, clock: Clock, options: CalibrationOptions): Promise<Calibration> {
  const { model, maxModelTokens } = await probe.facts(options.model);
  const metrics = await probe.metrics();
  if (runningIn(metrics) > 0) {
    throw new SignalboxError('environment', 'The engine is serving others now; measure it while it is idle.');
  }
  const kvCacheTokens = options.kvCacheTokens ?? kvCacheTokensOf(metrics);
  if (kvCacheTokens === null) {
    throw new SignalboxError('environment', 'The engine does not say how large its KV cache is; use --kv-tokens.');
  }
  const longest = Math.min(maxModelTokens ?? Infinity, kvCacheTokens) - longAnswerTokens;
  const observations = await measure(probe, clock, model, longest, kvCacheTokens, options);
  const maxNumSeqs = options.maxNumSeqs ?? (await sequencesAtOnce(probe, clock, model));
  const fit = fitSteps(observations);
  const profile = {
    name: options.name,
    summary: `${model}, measured`,
    step: roundedAll(fit.step),
    kvCacheTokens,
    maxNumSeqs,
    maxNumBatchedTokens: fit.maxNumBatchedTokens,
    transferPerToken: unmeasuredTransferPerToken,
    apiOverheadMs: rounded(fit.apiOverheadMs),
  };
  return { profile, fit, observations };
}

async function measure(
  probe: Probe,
  clock: Clock,
  model: string,
  longestPrompt: number,
  kvCacheTokens: number,
  { repeats, onProgress }: CalibrationOptions,
): Promise<Observation[]> {
  const lengths = promptLengths.filter((length) => length <= longestPrompt);
  const loads = decodeLoads.filter(
    ([sequences, promptTokens]) =>
      promptTokens <= longestPrompt && sequences * (promptTokens + decodeTokens) < kvCacheTokens * 0.9,
  );
  const total = lengths.length + loads.length + 1;
  const observations: Observation[] = [];
  const least = async (measureOnce: () => Promise<number>): Promise<number> => {
    let ms = Infinity;
    for (let round = 0; round < repeats; round++) ms = Math.min(ms, await measureOnce());
    return ms;
  };
  const note = (observation: Observation): void => {
    observations.push(observation);
    onProgress?.((observations.length / total) * 0.9);
  };

  await probe.stream(model, 32, decodeTokens); // the first request after a while is slow
  for (const promptTokens of lengths) {
    const ms = await least(async () => {
      const { startMs, firstMs } = await probe.stream(model, promptTokens, 1);
      return firstMs - startMs;
    });
    note({ kind: 'prefill', promptTokens, ms });
  }
  for (const [sequences, promptTokens] of loads) {
    const ms = await least(() => decodeMs(probe, model, sequences, promptTokens));
    note({ kind: 'decode', sequences, contextTokens: promptTokens + decodeTokens / 2, ms });
  }
  const beside = lengths.at(-1)!;
  const ms = await least(() => interruptionMs(probe, clock, model, beside));
  note({ kind: 'interruption', promptTokens: beside, ms });
  return observations;
}

/** Time between tokens of the answer that began last, while the ones before it go on. */
async function decodeMs(probe: Probe, model: string, sequences: number, promptTokens: number): Promise<number> {
  const stop = new AbortController();
  const others = Array.from({ length: sequences - 1 }, () =>
    probe.stream(model, promptTokens, longAnswerTokens, stop.signal).catch(() => null),
  );
  try {
    const { firstMs, lastMs, tokens } = await probe.stream(model, promptTokens, decodeTokens);
    return (lastMs - firstMs) / (tokens - 1);
  } finally {
    stop.abort();
    await Promise.all(others);
  }
}

async function interruptionMs(probe: Probe, clock: Clock, model: string, promptTokens: number): Promise<number> {
  const answer = probe.stream(model, 64, 2 * decodeTokens);
  await pause(clock, 200);
  await probe.stream(model, promptTokens, 1);
  return (await answer).longestGapMs;
}

/** Sends more than it may run at once and looks at how many run while others wait. */
async function sequencesAtOnce(probe: Probe, clock: Clock, model: string): Promise<number> {
  const stop = new AbortController();
  const answers = Array.from({ length: mostSequences + 32 }, () =>
    probe.stream(model, 16, longAnswerTokens, stop.signal).catch(() => null),
  );
  let most = 0;
  try {
    for (let look = 0; look < 60; look++) {
      await pause(clock, 100);
      const metrics = await probe.metrics();
      const running = runningIn(metrics);
      if (Number.isNaN(running)) continue;
      if (running === most && most > 0 && new PrometheusText(metrics).sum('vllm:num_requests_waiting') > 0) break;
      most = Math.max(most, running);
      if (most >= mostSequences) break;
    }
  } finally {
    stop.abort();
    await Promise.all(answers);
  }
  return most === 0 ? 256 : Math.min(most, mostSequences);
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

function runningIn(metrics: string): number {
  return new PrometheusText(metrics).sum('vllm:num_requests_running');
}

/** vLLM says it in the labels of an info metric. */
function kvCacheTokensOf(metrics: string): number | null {
  const labels = new PrometheusText(metrics).samples('vllm:cache_config_info')[0]?.labels ?? '';
  const blocks = Number(/num_gpu_blocks="(\d+)"/.exec(labels)?.[1] ?? NaN);
  const blockSize = Number(/block_size="(\d+)"/.exec(labels)?.[1] ?? NaN);
  return blocks * blockSize > 0 ? blocks * blockSize : null;
}

function roundedAll<Step extends Record<keyof Step, number>>(step: Step): Step {
  return Object.fromEntries(Object.entries<number>(step).map(([name, value]) => [name, rounded(value)])) as Step;
}

/** Four digits are more than a measurement is worth. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

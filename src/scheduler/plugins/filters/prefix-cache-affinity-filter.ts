import { z } from 'zod';
import { definePlugin, type Cycle } from '../../plugin.ts';
import { knownOr0 } from '../scorers/load-release.ts';
import { oncePerCycle } from './once-per-cycle.ts';

const parameters = z.strictObject({
  affinityThreshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.8)
    .describe('share of the prompt that must be cached for an endpoint to be warm'),
  explorationProbability: z.number().min(0).max(1).default(0).describe('how often affinity is set aside to try others'),
  maxTTFTPenaltyMs: z
    .number()
    .min(0)
    .default(18_000)
    .describe('how much longer a request may wait at a warm endpoint than at a cold one'),
  peakPrefillThroughput: z
    .number()
    .positive()
    .default(15_928)
    .describe('prompt tokens an endpoint computes per second at its best; one figure for the pool'),
  ttftSource: z
    .enum(['prefillThroughput', 'latencyPredictor'])
    .default('prefillThroughput')
    .describe('what the wait is estimated by: that figure, or the speed learned of each endpoint'),
});

type Verdict = 'warm only' | 'all';

export const prefixCacheAffinityFilter = definePlugin({
  type: 'prefix-cache-affinity-filter',
  kind: 'filter',
  summary:
    'Keeps endpoints that hold most of the prompt, until the best of them has more prefill queued than the best other one by the penalty allowed: sticky until saturated.',
  source: 'llm-d router, default since August 2026',
  parameters,
  create({ affinityThreshold, explorationProbability, maxTTFTPenaltyMs, peakPrefillThroughput, ttftSource }) {
    const queuedMs = ({ view }: Cycle, slot: number): number =>
      ttftSource === 'latencyPredictor'
        ? 1000 * knownOr0(view.queuedPrefillSeconds[slot]!)
        : (1000 * knownOr0(view.queuedPrefillTokens[slot]!)) / peakPrefillThroughput;
    const isWarm = ({ request, view }: Cycle, slot: number): boolean =>
      request.promptTokens > 0 && knownOr0(view.cachedTokens()[slot]!) >= affinityThreshold * request.promptTokens;
    const verdict = oncePerCycle((cycle: Cycle): Verdict => {
      if (explorationProbability > 0 && cycle.random.next() < explorationProbability) return 'all';
      let leastWarm = Infinity;
      let leastCold = Infinity;
      for (const slot of cycle.candidates) {
        const queued = queuedMs(cycle, slot);
        if (isWarm(cycle, slot)) leastWarm = Math.min(leastWarm, queued);
        else leastCold = Math.min(leastCold, queued);
      }
      if (leastWarm === Infinity || leastCold === Infinity) return 'all';
      return leastWarm - leastCold > maxTTFTPenaltyMs ? 'all' : 'warm only';
    });
    return {
      drop(cycle, slot) {
        return verdict(cycle, undefined) === 'all' || isWarm(cycle, slot) ? null : 'others hold the prompt';
      },
    };
  },
});

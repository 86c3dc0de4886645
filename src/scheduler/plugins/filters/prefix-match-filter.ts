import { z } from 'zod';
import type { Decision } from '../../decision.ts';
import { definePlugin, type Cycle } from '../../plugin.ts';
import { knownOr0 } from '../scorers/load-release.ts';
import { oncePerCycle } from './once-per-cycle.ts';

const parameters = z.strictObject({
  matchRateThreshold: z.number().min(0).max(1).default(0.1).describe('share of the prompt that must match'),
  imbalancedThreshold: z
    .number()
    .min(0)
    .nullable()
    .default(null)
    .describe('beyond this difference between most and least requests prefixes are set aside; null never does'),
});

/** Tokens of prompts inserted for each endpoint: the size of its part of the tree, which never shrinks. */
type TreeTokens = Map<string, number>;

const mostEndpoints = 4096;

export const prefixMatchFilter = definePlugin({
  type: 'prefix-match-filter',
  kind: 'filter',
  summary:
    'Keeps the endpoints with the longest match when it is long enough, else those that were given the fewest different tokens; all when the load is uneven.',
  source: 'Ray Serve LLM, PrefixCacheAffinityRouter',
  parameters,
  create({ matchRateThreshold, imbalancedThreshold }) {
    const choose = oncePerCycle(({ candidates, request, view }: Cycle, state: TreeTokens) => {
      const load = Array.from(candidates, (slot) => view.inFlight[slot]!);
      if (imbalancedThreshold !== null && Math.max(...load) - Math.min(...load) > imbalancedThreshold) return null;
      const cached = view.cachedTokens();
      const matched = Array.from(candidates, (slot) => knownOr0(cached[slot]!));
      const longest = Math.max(...matched);
      const follows = request.promptTokens > 0 && longest > 0 && longest / request.promptTokens >= matchRateThreshold;
      if (follows) return new Set(Array.from(candidates).filter((_, i) => matched[i] === longest));
      const sizes = Array.from(candidates, (slot) => state.get(view.endpoints[slot]!.name) ?? 0);
      const smallest = Math.min(...sizes);
      return new Set(Array.from(candidates).filter((_, i) => sizes[i] === smallest));
    });
    return {
      state: (): TreeTokens => new Map(),
      drop(cycle, slot, state) {
        const chosen = choose(cycle, state as TreeTokens);
        return chosen === null || chosen.has(slot) ? null : 'another has the prefix, or a smaller tree';
      },
      commit(state, { candidates, inputs, picked, promptTokens }: Decision) {
        if (picked < 0) return;
        const sizes = state as TreeTokens;
        const { endpoint } = candidates[picked]!;
        const size = (sizes.get(endpoint) ?? 0) + Math.max(0, promptTokens - knownOr0(inputs.cachedTokens[picked]!));
        sizes.delete(endpoint);
        sizes.set(endpoint, size);
        if (sizes.size > mostEndpoints) sizes.delete(sizes.keys().next().value!);
      },
    };
  },
});

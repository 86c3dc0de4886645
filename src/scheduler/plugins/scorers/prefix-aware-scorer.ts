import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0, leastOf, loadRelease } from './load-release.ts';

const parameters = z.strictObject({
  queueThreshold: z
    .number()
    .positive()
    .default(128)
    .describe('requests more than the least busy candidate at which a prefix counts for nothing'),
});

/**
 * The share of the prompt's prefill that choosing an endpoint saves. What is cached there is an absolute share (half
 * the prompt is 0.5, whoever else has what: no min-max), less the prefill queued there beyond the shortest queue,
 * since waiting for tokens costs what computing them costs; and it fades as the endpoint gets busier than the least
 * busy one. So a prefix never beats any load: a hot one spills over as soon as its holder's queue outweighs it.
 */
export const prefixAwareScorer = definePlugin({
  type: 'prefix-aware-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'Prefers endpoints that hold the start of the prompt: the cached share of it, less the prefill queued there, fading to 0 at `queueThreshold` requests more than the least busy.',
  source: 'llm-d-inference-scheduler 0.0.3 by name; absolute share and release under load are ours',
  parameters,
  create: ({ queueThreshold }) => ({
    score(cycle, scores, details) {
      const { candidates, request, view } = cycle;
      const cached = view.usefulCachedTokens?.() ?? view.cachedTokens();
      const cachedTokens = details.column('cachedTokens');
      const queuedPrefillTokens = details.column('queuedPrefillTokens');
      const extraRequests = details.column('extraRequests');
      const leastQueued = leastOf(cycle, view.queuedPrefillTokens);
      const leastInFlight = leastOf(cycle, view.inFlight);
      let mostCached = 0;
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        const hit = knownOr0(cached[slot]!);
        cachedTokens[i] = cached[slot]!;
        queuedPrefillTokens[i] = view.queuedPrefillTokens[slot]!;
        extraRequests[i] = knownOr0(view.inFlight[slot]!) - leastInFlight;
        mostCached = Math.max(mostCached, hit);
        const saved = hit - (knownOr0(queuedPrefillTokens[i]!) - leastQueued);
        const share = request.promptTokens > 0 ? Math.min(1, Math.max(0, saved / request.promptTokens)) : 0;
        scores[i] = share * loadRelease(extraRequests[i]!, queueThreshold);
      }
      details.note('promptTokens', request.promptTokens);
      details.note('lookup', mostCached > 0 ? 'match' : (view.prefixLookup?.() ?? 'no match'));
    },
  }),
});

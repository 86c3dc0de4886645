import { z } from 'zod';
import { ewma } from '../../../base/ewma.ts';
import type { Decision } from '../../decision.ts';
import { definePlugin, type Outcome } from '../../plugin.ts';

const parameters = z.strictObject({
  ttftTpotWeightFactor: z.number().min(0).max(1).default(0.5).describe("weight of TTFT; the rest is TPOT's"),
});

interface Latency {
  ttftSeconds: number;
  tpotSeconds: number;
}
type Latencies = Map<string, Latency>;

const learningShare = 0.1;
const mostEndpoints = 4096;

export const kthenaLeastLatencyScorer = definePlugin({
  type: 'kthena-least-latency-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'Recent TTFT and TPOT of the endpoint, each between the best (1) and the worst (0); unmeasured ones are best.',
  source: "Kthena, least-latency; Kthena reads the engines' histograms, this sees the same in the answers",
  parameters,
  create: ({ ttftTpotWeightFactor }) => ({
    state: (): Latencies => new Map(),
    score({ candidates, view }, scores, details, state) {
      const ttft = details.column('ttftSeconds');
      const tpot = details.column('tpotSeconds');
      for (let i = 0; i < candidates.length; i++) {
        const latency = (state as Latencies).get(view.endpoints[candidates[i]!]!.name);
        ttft[i] = latency?.ttftSeconds ?? NaN;
        tpot[i] = latency?.tpotSeconds ?? NaN;
      }
      const ttftShare = betweenBestAndWorst(ttft);
      const tpotShare = betweenBestAndWorst(tpot);
      for (let i = 0; i < scores.length; i++) {
        const measured = !Number.isNaN(ttft[i]!) && !Number.isNaN(tpot[i]!);
        scores[i] = measured
          ? ttftTpotWeightFactor * ttftShare(ttft[i]!) + (1 - ttftTpotWeightFactor) * tpotShare(tpot[i]!)
          : 1;
      }
    },
    finish(state, _decision: Decision, outcome: Outcome) {
      const { endpoint, ttftSeconds, e2eSeconds, completionTokens } = outcome;
      if (endpoint === null || ttftSeconds === null || e2eSeconds === null || (completionTokens ?? 0) < 2) return;
      const latencies = state as Latencies;
      const latency = latencies.get(endpoint) ?? { ttftSeconds: NaN, tpotSeconds: NaN };
      const tpotSeconds = (e2eSeconds - ttftSeconds) / (completionTokens! - 1);
      latency.ttftSeconds = ewma(latency.ttftSeconds, ttftSeconds, learningShare);
      latency.tpotSeconds = ewma(latency.tpotSeconds, tpotSeconds, learningShare);
      latencies.delete(endpoint);
      latencies.set(endpoint, latency);
      if (latencies.size > mostEndpoints) latencies.delete(latencies.keys().next().value!);
    },
  }),
});

/** 1 for the least of the known values, 0 for the greatest; 1 when they are all the same. */
function betweenBestAndWorst(values: Float64Array): (value: number) => number {
  const known = values.filter((value) => !Number.isNaN(value));
  const best = Math.min(...known);
  const worst = Math.max(...known);
  return (value) => (worst > best ? (worst - value) / (worst - best) : 1);
}

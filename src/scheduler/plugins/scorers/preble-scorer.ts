import { z } from 'zod';
import { ewma } from '../../../base/ewma.ts';
import type { Decision } from '../../decision.ts';
import { definePlugin, type Outcome } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';
import { shareOfLeast } from './share-of-least.ts';

const parameters = z.strictObject({
  windowSeconds: z.number().positive().default(180).describe("how far back an endpoint's load is looked at"),
  outputTokens: z.number().min(0).default(45).describe('output tokens assumed of a request'),
});

interface Load {
  /** Prefill given to it within the window, oldest first, and its sum. */
  readonly given: { readonly atMs: number; readonly seconds: number }[];
  givenSeconds: number;
  secondsPerOutputToken: number;
}
type Loads = Map<string, Load>;

const mostEndpoints = 4096;
const mostGiven = 100_000;
/** Its code's value before the first answer. */
const unknownSecondsPerOutputToken = 0.15;
const learningShare = 0.05;

export const prebleScorer = definePlugin({
  type: 'preble-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'When most of the prompt is cached somewhere, the least loaded of those with the longest match; else the least of recent load, decoding and own prefill.',
  source:
    'Preble E2 (arXiv 2407.00023); eviction off as its code has it by default, prefill at the speed learned instead of polynomials of old GPUs, no rebalancing after the assignment',
  parameters,
  create: ({ windowSeconds, outputTokens }) => ({
    state: (): Loads => new Map(),
    score({ candidates, request, view }, scores, details, state) {
      const cached = view.cachedTokens();
      const prefillSeconds = view.prefillSeconds();
      const match = details.column('cachedTokens');
      const load = details.column('loadSeconds');
      const costs = new Float64Array(candidates.length);
      let longest = 0;
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        match[i] = knownOr0(cached[slot]!);
        longest = Math.max(longest, match[i]!);
        const known = (state as Loads).get(view.endpoints[slot]!.name);
        const perToken = known?.secondsPerOutputToken ?? unknownSecondsPerOutputToken;
        load[i] = (known?.givenSeconds ?? 0) + view.inFlight[slot]! * outputTokens * perToken;
        costs[i] = load[i]! + prefillSeconds[slot]!;
      }
      const exploits = longest > request.promptTokens - longest;
      details.note('branch', exploits ? 'exploit' : 'explore');
      // Milliseconds, so that the unit which shareOfLeast takes as nothing is small.
      shareOfLeast(
        (exploits ? load : costs).map((seconds) => seconds * 1000),
        scores,
      );
      if (!exploits) return;
      for (let i = 0; i < scores.length; i++) if (match[i]! < longest) scores[i] = 0;
    },
    commit(state, { candidates, inputs, picked, nowMs }: Decision) {
      if (picked < 0) return;
      const loads = state as Loads;
      const since = nowMs - windowSeconds * 1000;
      for (const load of loads.values()) forgetBefore(load, since);
      const load = loadOf(loads, candidates[picked]!.endpoint);
      const seconds = inputs.prefillSeconds[picked]!;
      load.given.push({ atMs: nowMs, seconds });
      load.givenSeconds += seconds;
    },
    finish(state, _decision: Decision, { endpoint, ttftSeconds, e2eSeconds, completionTokens }: Outcome) {
      if (endpoint === null || ttftSeconds === null || e2eSeconds === null || (completionTokens ?? 0) < 2) return;
      const load = loadOf(state as Loads, endpoint);
      const seconds = (e2eSeconds - ttftSeconds) / (completionTokens! - 1);
      load.secondsPerOutputToken = ewma(load.secondsPerOutputToken, seconds, learningShare);
    },
  }),
});

function loadOf(loads: Loads, endpoint: string): Load {
  let load = loads.get(endpoint);
  if (load === undefined) {
    if (loads.size >= mostEndpoints) loads.delete(loads.keys().next().value!);
    load = { given: [], givenSeconds: 0, secondsPerOutputToken: unknownSecondsPerOutputToken };
    loads.set(endpoint, load);
  }
  return load;
}

function forgetBefore(load: Load, sinceMs: number): void {
  while (load.given.length > 0 && (load.given[0]!.atMs < sinceMs || load.given.length > mostGiven)) {
    load.givenSeconds -= load.given.shift()!.seconds;
  }
  if (load.given.length === 0) load.givenSeconds = 0;
}

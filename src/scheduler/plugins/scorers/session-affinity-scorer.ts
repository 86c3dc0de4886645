import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { sessionParameters, sessionRule } from '../session-rule.ts';
import { knownOr0, leastOf, loadRelease } from './load-release.ts';

const parameters = z.strictObject({
  ...sessionParameters,
  queueThreshold: z
    .number()
    .positive()
    .default(128)
    .describe('requests more than the least busy candidate at which a session counts for nothing'),
});

export const sessionAffinityScorer = definePlugin({
  type: 'session-affinity-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'Prefers the endpoint that served the session before: 1 there, fading to 0 at `queueThreshold` requests more than the least busy; 0 elsewhere.',
  source: 'llm-d-inference-scheduler 0.0.3; the token is verified at the door, and the release under load is ours',
  parameters,
  create: ({ queueThreshold, ...session }) => ({
    sessions: sessionRule(session),
    score(cycle, scores, details) {
      const { candidates, request, view } = cycle;
      const leastInFlight = leastOf(cycle, view.inFlight);
      let found = false;
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        const isHolder = request.sessionEndpoint !== null && view.endpoints[slot]!.name === request.sessionEndpoint;
        found ||= isHolder;
        scores[i] = isHolder ? loadRelease(knownOr0(view.inFlight[slot]!) - leastInFlight, queueThreshold) : 0;
      }
      details.note('session', request.sessionEndpoint === null ? 'none' : found ? 'known' : 'its endpoint is gone');
    },
  }),
});

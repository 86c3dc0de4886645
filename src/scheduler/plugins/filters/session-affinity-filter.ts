import { z } from 'zod';
import { definePlugin, type Cycle } from '../../plugin.ts';
import { sessionParameters, sessionRule } from '../session-rule.ts';
import { oncePerCycle } from './once-per-cycle.ts';

const parameters = z.strictObject(sessionParameters);

export const sessionAffinityFilter = definePlugin({
  type: 'session-affinity-filter',
  kind: 'filter',
  summary: 'Keeps only the endpoint that served the session before, as long as it is there; else everything.',
  source: 'llm-d router (alpha); the token is verified at the door',
  parameters,
  create(session) {
    const holderIsThere = oncePerCycle(({ request, view, candidates }: Cycle) =>
      candidates.some((slot) => view.endpoints[slot]!.name === request.sessionEndpoint),
    );
    return {
      sessions: sessionRule(session),
      drop(cycle, slot) {
        const isHolder = cycle.view.endpoints[slot]!.name === cycle.request.sessionEndpoint;
        return isHolder || !holderIsThere(cycle, undefined) ? null : 'the session belongs to another';
      },
    };
  },
});

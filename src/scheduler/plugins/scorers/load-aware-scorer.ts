import { z } from 'zod';
import type { ScorerDefinition } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  /** Requests on an endpoint at which its score reaches 0. */
  threshold: z.number().positive().default(128),
});

/** A gauge older than this says nothing about now. */
const freshMs = 5_000;

export const loadAwareScorer: ScorerDefinition<z.infer<typeof parameters>> = {
  type: 'load-aware-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Prefers endpoints with few requests: 0.5 when idle, falling to 0 at `threshold` requests.',
  source:
    'llm-d-inference-scheduler 0.0.3, which looked only at the scraped waiting queue; this one counts its own picks at once, so nothing herds between scrapes',
  parameters,
  create: ({ threshold }) => ({
    score({ candidates, view }, scores, details) {
      const load = details.column('load');
      const inFlight = details.column('inFlight');
      const waiting = details.column('waiting');
      const running = details.column('running');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        inFlight[i] = view.inFlight[slot]!;
        waiting[i] = view.waiting[slot]!;
        running[i] = view.running[slot]!;
        // The gauge knows of requests that others sent, our count of those sent since the scrape.
        const gauge = view.gaugeAgeMs[slot]! < freshMs ? knownOr0(waiting[i]! + running[i]!) : 0;
        load[i] = Math.max(knownOr0(inFlight[i]!), gauge);
        // 0.5 at best, as in the original: the number readers of its logs know.
        scores[i] = 0.5 * (1 - Math.min(load[i]!, threshold) / threshold);
      }
    },
  }),
};

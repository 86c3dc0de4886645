import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { knownOr0 } from './load-release.ts';

const parameters = z.strictObject({
  threshold: z.number().positive().default(128).describe('requests on an endpoint at which its score reaches 0'),
});

/** A gauge older than this says nothing about now. */
const freshMs = 5_000;

export const loadAwareScorer = definePlugin({
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
      const others = details.column('othersInFlight');
      for (let i = 0; i < candidates.length; i++) {
        const slot = candidates[i]!;
        inFlight[i] = view.inFlight[slot]!;
        others[i] = view.gaugeAgeMs[slot]! < freshMs ? view.othersInFlight[slot]! : NaN;
        // Our own are counted exactly and at once; of others' requests the gauges know, some time later.
        load[i] = knownOr0(inFlight[i]!) + knownOr0(others[i]!);
        // 0.5 at best, as in the original: the number readers of its logs know.
        scores[i] = 0.5 * (1 - Math.min(load[i]!, threshold) / threshold);
      }
    },
  }),
});

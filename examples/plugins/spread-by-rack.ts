/** A scorer of one's own: prefers endpoints in racks that are doing little. Used by `config.yaml` beside it. */
import { definePlugin, z } from 'signalbox/plugin';
import { requestsPerRack } from './racks.ts';

const parameters = z.strictObject({
  label: z.string().min(1).default('rack').describe('endpoint label that names its rack'),
});

export default definePlugin({
  type: 'spread-by-rack-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Prefers endpoints in racks with few requests: 1 in an idle rack, falling towards 0.',
  source: 'Signalbox’s example of a plugin of one’s own',
  parameters,
  create: ({ label }: z.infer<typeof parameters>) => ({
    score({ candidates, view }, scores, details) {
      const requests = requestsPerRack(view, candidates, label);
      const inRack = details.column('requestsInRack');
      candidates.forEach((slot, at) => {
        inRack[at] = requests.get(view.endpoints[slot]?.labels[label] ?? '') ?? 0;
        scores[at] = 1 / (1 + inRack[at]!);
      });
    },
  }),
});

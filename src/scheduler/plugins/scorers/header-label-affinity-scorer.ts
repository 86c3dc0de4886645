import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  headerName: z.string().min(1).default('x-affinity').describe('the request header that is compared'),
  labelKey: z.string().min(1).default('affinity').describe('the endpoint label it is compared with'),
});

export const headerLabelAffinityScorer = definePlugin({
  type: 'header-label-affinity-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Prefers endpoints with a label equal to a request header: 1 there, 0 elsewhere and without the header.',
  source: 'llm-d router (alpha)',
  parameters,
  create({ headerName, labelKey }) {
    const name = headerName.toLowerCase();
    return {
      score({ candidates, request, view }, scores) {
        const wanted = request.headers[name];
        for (let i = 0; i < candidates.length; i++) {
          scores[i] = wanted !== undefined && view.endpoints[candidates[i]!]!.labels[labelKey] === wanted ? 1 : 0;
        }
      },
    };
  },
});

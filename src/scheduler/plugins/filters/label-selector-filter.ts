import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const requirement = z.strictObject({
  key: z.string().min(1),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
  values: z.array(z.string()).default([]),
});

const parameters = z.strictObject({
  matchLabels: z
    .record(z.string(), z.string())
    .default({})
    .describe('labels that an endpoint must have, as given')
    .meta({ examples: [{ gpu: 'h100' }] }),
  matchExpressions: z.array(requirement).default([]).describe('Kubernetes requirements: key, operator, values'),
});

type Labels = Readonly<Record<string, string>>;

/** Why the labels do not meet it; null when they do. As in Kubernetes, NotIn is met without the label. */
function unmet(labels: Labels, { key, operator, values }: z.infer<typeof requirement>): string | null {
  const value = labels[key];
  const isIn = value !== undefined && values.includes(value);
  const isMet = { In: isIn, NotIn: !isIn, Exists: value !== undefined, DoesNotExist: value === undefined }[operator];
  return isMet ? null : `${key} is ${value ?? 'not there'}`;
}

export const labelSelectorFilter = definePlugin({
  type: 'label-selector-filter',
  kind: 'filter',
  summary: 'Keeps endpoints whose labels meet a Kubernetes label selector; an empty one keeps all.',
  source: 'llm-d router',
  parameters,
  create({ matchLabels, matchExpressions }) {
    const requirements = [
      ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In' as const, values: [value] })),
      ...matchExpressions,
    ];
    return {
      drop({ view }, slot) {
        const { labels } = view.endpoints[slot]!;
        for (const each of requirements) {
          const reason = unmet(labels, each);
          if (reason !== null) return reason;
        }
        return null;
      },
    };
  },
});

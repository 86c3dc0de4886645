import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  label: z
    .string()
    .min(1)
    .default('llm-d.ai/context-length-range')
    .describe('endpoint label with prompt lengths in tokens, as `0-2048`'),
  enableFiltering: z
    .literal(false, 'leaving endpoints out is the business of label-selector-filter; leave it false')
    .default(false)
    .describe('only false: a scorer leaves nobody out'),
});

interface Range {
  readonly least: number;
  readonly most: number;
}

function rangeOf(text: string | undefined): Range | null {
  const [, least, most] = /^\s*(\d+)\s*-\s*(\d+)\s*$/.exec(text ?? '') ?? [];
  return least === undefined || Number(most) < Number(least) ? null : { least: Number(least), most: Number(most) };
}

export const contextLengthAware = definePlugin({
  type: 'context-length-aware',
  kind: 'scorer',
  unit: 'share',
  summary:
    'Prefers endpoints meant for prompts of this length: 0.3 to 1 inside the range they are labelled with, more the tighter it is; below 0.3 outside, less the farther; 0.5 without a label.',
  source: 'llm-d router',
  parameters,
  create: ({ label }) => ({
    score({ candidates, request: { promptTokens }, view }, scores) {
      for (let i = 0; i < candidates.length; i++) {
        const range = rangeOf(view.endpoints[candidates[i]!]!.labels[label]);
        if (range === null) scores[i] = 0.5;
        else if (promptTokens >= range.least && promptTokens <= range.most) {
          // The whole of a range just as long as the prompt is the tightest there is.
          scores[i] = 0.3 + 0.7 * ((promptTokens + 1) / (range.most - range.least + promptTokens + 1));
        } else {
          const distance = promptTokens < range.least ? range.least - promptTokens : promptTokens - range.most;
          scores[i] = 0.29 * (1 - distance / (distance + promptTokens + 1));
        }
      }
    },
  }),
});

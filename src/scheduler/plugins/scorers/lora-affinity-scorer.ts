import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

/** As llm-d's router weighs them. */
const running = 1;
const room = 0.8;
const waiting = 0.6;

export const loraAffinityScorer = definePlugin({
  type: 'lora-affinity-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    'Prefers endpoints where the requested adapter runs already (1), then those with room for one more (0.8), then those where it waits (0.6); 0 for the others. The same for all where the model itself is asked for.',
  source: 'Gateway API Inference Extension and llm-d router',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, request, view }, scores, details) {
      const active = details.column('activeAdapters');
      for (let i = 0; i < candidates.length; i++) {
        const loras = view.lorasAt?.(candidates[i]!) ?? null;
        active[i] = loras?.running.length ?? NaN;
        if (loras === null) scores[i] = 0;
        else if (loras.running.includes(request.model)) scores[i] = running;
        else if (loras.running.length + loras.waiting.length < loras.most) scores[i] = room;
        else scores[i] = loras.waiting.includes(request.model) ? waiting : 0;
      }
    },
  }),
});

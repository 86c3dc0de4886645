import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

const parameters = z.strictObject({
  othersWeight: z
    .number()
    .min(0)
    .default(1)
    .describe('what a second counts by which a prefill delays each request beside it, against one of the own wait'),
  transferTokensPerSecond: z.number().positive().default(100_000).describe('how fast caches go from engine to engine'),
  handoverSeconds: z.number().min(0).default(0.03).describe('what a split costs whatever its length: a second request'),
});

export const costBasedPdDecider = definePlugin({
  type: 'cost-based-pd-decider',
  kind: 'decider',
  summary:
    'Splits a request only when that costs less: its own wait for the first token, and what its prefill makes others wait.',
  source:
    'Signalbox: queued prefill + own prefill + a share of the delay to others, at either place, against the transfer',
  parameters,
  create: ({ othersWeight, transferTokensPerSecond, handoverSeconds }) => ({
    comparesPicks: true,
    decide({ request: { promptTokens }, view, together, decode, prefill }) {
      const own = view.prefillSeconds();
      const costAt = (slot: number): number =>
        view.queuedPrefillSeconds[slot]! + own[slot]! * (1 + othersWeight * view.inFlight[slot]!);
      const [whole] = together.picked;
      const [place] = decode.picked;
      const [helper] = prefill?.picked ?? [];
      if (helper === undefined || place === undefined || whole === undefined) {
        return { split: false, reason: 'no endpoint prefills', details: {} };
      }
      const transferTokens = Math.max(0, promptTokens - view.cachedTokens()[place]!);
      const transferSeconds = handoverSeconds + transferTokens / transferTokensPerSecond;
      const togetherSeconds = costAt(whole);
      const splitSeconds = costAt(helper) + transferSeconds + view.queuedPrefillSeconds[place]!;
      const split = splitSeconds < togetherSeconds;
      const reason = `${splitSeconds.toFixed(3)} s split, ${togetherSeconds.toFixed(3)} s together`;
      return { split, reason, details: { splitSeconds, togetherSeconds, transferSeconds, transferTokens } };
    },
  }),
});

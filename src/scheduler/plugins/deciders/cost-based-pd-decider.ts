import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';

/** Over which time `mostPrefillShare` is taken, as the view's column is. */
const shareSeconds = 10;

const parameters = z.strictObject({
  othersWeight: z
    .number()
    .min(0)
    .default(0.5)
    .describe('what a second counts by which a prefill delays each request beside it, against one of the own wait'),
  mostPrefillShare: z
    .number()
    .min(0)
    .default(0.45)
    .describe('how much of its time an endpoint that writes answers may spend on prompts, this one included'),
  transferTokensPerSecond: z.number().positive().default(100_000).describe('how fast caches go from engine to engine'),
  handoverSeconds: z.number().min(0).default(0.03).describe('what a split costs whatever its length: a second request'),
});

export const costBasedPdDecider = definePlugin({
  type: 'cost-based-pd-decider',
  kind: 'decider',
  summary:
    'Splits a request only when that costs less (its own wait for the first token, and what its prefill makes others wait), or when too many prompts would slow down the answers beside them.',
  source:
    'Signalbox: queued prefill + own prefill + a share of the delay to others, at either place, against the transfer; a bound for prefill beside decoding',
  parameters,
  create: ({ othersWeight, mostPrefillShare, transferTokensPerSecond, handoverSeconds }) => ({
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
      const shareLately = view.prefillShare?.()[whole] ?? 0;
      const shareToCome = (view.queuedPrefillSeconds[whole]! + own[whole]!) / shareSeconds;
      const prefillShare = (Number.isNaN(shareLately) ? 0 : shareLately) + shareToCome;
      const details = { splitSeconds, togetherSeconds, transferSeconds, transferTokens, prefillShare };
      const costs = `${splitSeconds.toFixed(3)} s split, ${togetherSeconds.toFixed(3)} s together`;
      const costsLess = splitSeconds < togetherSeconds;
      const slowsAnswers = view.inFlight[whole]! > 0 && prefillShare > mostPrefillShare;
      const but =
        slowsAnswers && !costsLess ? `, which would put ${(100 * prefillShare).toFixed(0)} % into prompts` : '';
      return { split: costsLess || slowsAnswers, reason: costs + but, details };
    },
  }),
});

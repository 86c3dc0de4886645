import { z } from 'zod';
import { definePlugin } from '../../plugin.ts';
import { configuredDecider, needProfiles } from './configured.ts';
import { splitProfiles } from './split-profiles.ts';

const parameters = z.strictObject({
  profiles: z
    .strictObject({
      decode: z.string().min(1).default('decode'),
      prefill: z.string().min(1).default('prefill'),
      encode: z.string().optional(),
      together: z.string().min(1).optional(),
    })
    .prefault({})
    .describe('names of the profiles; `together` places what is not split, which without it stays where decode is')
    .meta({ examples: [{ decode: 'decode', prefill: 'prefill' }] }),
  deciders: z
    .strictObject({
      prefill: z.string().min(1).optional(),
      encode: z.never('media is encoded where the prompt is computed; leave the encode decider out').optional(),
    })
    .prefault({})
    .describe('`prefill`: the name of the decider; without one nothing is split')
    .meta({ examples: [{ prefill: 'cost-based-pd-decider' }] }),
  stageOrder: z
    .enum(['decode-first', 'prefill-first'])
    .default('decode-first')
    .describe('which profile runs first; with prefill first and no decider everything is split'),
});

export const disaggProfileHandler = definePlugin({
  type: 'disagg-profile-handler',
  kind: 'profile-handler',
  summary: 'Prefill and decode apart: a pick for each, where the decider says that a request is to be split.',
  source: 'llm-d router; the profile `together` is Signalbox’s',
  parameters,
  create({ profiles, deciders, stageOrder }, configured) {
    const { decode, prefill, together = null } = profiles;
    const prefillFirst = stageOrder === 'prefill-first';
    const splits = prefillFirst || deciders.prefill !== undefined;
    needProfiles(configured, this.type, [
      decode,
      ...(splits ? [prefill] : []),
      ...(together === null ? [] : [together]),
    ]);
    const decider = deciders.prefill === undefined ? null : configuredDecider(configured, this.type, deciders.prefill);
    return splitProfiles({ handler: this.type, decode, prefill, together, prefillFirst, decider });
  },
});

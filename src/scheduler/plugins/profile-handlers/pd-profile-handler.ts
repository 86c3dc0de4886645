import { z } from 'zod';
import { definePlugin, type Decider } from '../../plugin.ts';
import { prefixBasedPdDecider } from '../deciders/prefix-based-pd-decider.ts';
import { configuredDecider, needProfiles } from './configured.ts';
import { splitProfiles } from './split-profiles.ts';

const unused = z.unknown().optional().describe('taken and not needed');

const parameters = z.strictObject({
  decodeProfile: z.string().min(1).default('decode'),
  prefillProfile: z.string().min(1).default('prefill'),
  deciderPluginName: z.string().min(1).optional().describe('the name of the decider; without one `threshold` decides'),
  threshold: z.int().min(0).default(0).describe('uncached prompt tokens from which on a request is split'),
  hashBlockSize: unused,
  prefixPluginType: unused,
  prefixPluginName: unused,
  prefixMatchInfoProducerName: unused,
  primaryPort: unused,
});

export const pdProfileHandler = definePlugin({
  type: 'pd-profile-handler',
  kind: 'profile-handler',
  summary: 'Prefill and decode apart above a threshold; the older form of disagg-profile-handler.',
  source: 'llm-d inference scheduler 0.2 and later',
  parameters,
  create({ decodeProfile: decode, prefillProfile: prefill, deciderPluginName, threshold }, configured) {
    needProfiles(configured, this.type, [decode, prefill]);
    const decider =
      deciderPluginName === undefined
        ? { name: this.type, instance: atLeast(threshold) }
        : configuredDecider(configured, this.type, deciderPluginName);
    return splitProfiles({ handler: this.type, decode, prefill, together: null, prefillFirst: false, decider });
  },
});

/** Here 0 splits everything, while the decider takes 0 as "off". */
function atLeast(threshold: number): Decider {
  return prefixBasedPdDecider.create({ nonCachedTokens: Math.max(1, threshold), promptTokens: 0 });
}

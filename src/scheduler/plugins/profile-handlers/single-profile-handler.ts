import { z } from 'zod';
import { SignalboxError } from '../../../base/errors.ts';
import { definePlugin } from '../../plugin.ts';

export const singleProfileHandler = definePlugin({
  type: 'single-profile-handler',
  kind: 'profile-handler',
  summary: 'Runs the one profile there is.',
  source: 'Gateway API Inference Extension',
  parameters: z.strictObject({}),
  create(_parameters, { profiles }) {
    const [primary] = profiles;
    if (primary === undefined || profiles.length > 1) {
      throw new SignalboxError(
        'config_invalid',
        `single-profile-handler runs exactly one profile, but ${profiles.length} are configured (${profiles.join(', ')})`,
      );
    }
    return {
      next: ({ done }) => (done.length === 0 ? primary : null),
      settle: () => ({ serves: primary, prefills: null, verdict: null }),
    };
  },
});

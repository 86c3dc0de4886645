import { editMembers } from '../../api/splice.ts';
import type { Connector } from '../connector.ts';
import { promptOnly } from '../prompt-only.ts';

/** A bound below which decode would refuse what is not cached yet; whether to split is decided before. */
const threshold = 'cache_hit_threshold';

/** Engines that share a store of caches (LMCache): prefill fills it, decode finds the prompt there. */
export const lmcache: Connector = {
  together: false,
  handover(request) {
    const body = editMembers(request.body!, [threshold], {});
    return {
      prefill: { ...request, body: promptOnly(request.path, body) },
      decode: () => ({ ...request, body }),
    };
  },
};

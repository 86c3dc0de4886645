import { editMembers, memberOf } from '../../api/splice.ts';
import type { Connector } from '../connector.ts';
import { promptOnly } from '../prompt-only.ts';

const handedOver = ['remote_block_ids', 'remote_engine_id', 'remote_host', 'remote_port'];

/** The connector of mid-2025, whose parameters stand at the top of both bodies. */
export const nixl: Connector = {
  together: false,
  handover: (request) => ({
    prefill: { ...request, body: editMembers(promptOnly(request.path, request.body!), [], { do_remote_decode: true }) },
    decode(answer) {
      const texts: Record<string, string> = {};
      for (const name of handedOver) {
        const text = memberOf(answer, name);
        if (text === null || text === 'null') return null;
        texts[name] = text;
      }
      return { ...request, body: editMembers(request.body!, handedOver, { do_remote_prefill: true }, texts) };
    },
  }),
};

import { isObject } from '../../api/prompt.ts';
import { editMembers, memberOf } from '../../api/splice.ts';
import type { Connector } from '../connector.ts';
import { promptOnly } from '../prompt-only.ts';

const member = 'kv_transfer_params';

const askingToKeep = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};

/** vLLM waits for ever for a cache of which it is not told all of these. */
const needed = ['remote_engine_id', 'remote_block_ids', 'remote_host', 'remote_port'];

/**
 * vLLM's NixlConnector: prefill answers with the parameters of a transfer, decode pulls the cache by them. They are good
 * for one use, and passed on byte for byte.
 */
export const nixlv2: Connector = {
  together: false,
  handover: (request) => ({
    prefill: {
      ...request,
      body: editMembers(promptOnly(request.path, request.body!), [], { [member]: askingToKeep }),
    },
    decode(answer) {
      const params = memberOf(answer, member);
      if (params === null || !isComplete(params)) return null;
      return { ...request, body: editMembers(request.body!, [member], {}, { [member]: params }) };
    },
  }),
};

function isComplete(text: string): boolean {
  const params: unknown = JSON.parse(text); // `memberOf` gives JSON
  if (!isObject(params) || params['do_remote_prefill'] !== true) return false;
  return needed.every((name) => params[name] !== null && params[name] !== undefined);
}

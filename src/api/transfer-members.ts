import { isObject } from './prompt.ts';
import { editMembers } from './splice.ts';

/** Members by which engines hand caches to each other; from a client they can hang or kill an engine. */
const transferMembers = [
  'kv_transfer_params',
  'ec_transfer_params',
  'bootstrap_host',
  'bootstrap_port',
  'bootstrap_room',
  // the older form of kv_transfer_params
  'do_remote_decode',
  'do_remote_prefill',
  'remote_block_ids',
  'remote_engine_id',
  'remote_host',
  'remote_port',
];

/** Where vLLM looks for the same members below the top. */
const extraArguments = 'vllm_xargs';

/** The body without members that only routers may set; itself when it has none. `fields` is the body, parsed. */
export function withoutTransferMembers(body: Buffer, fields: Readonly<Record<string, unknown>>): Buffer {
  const extra = fields[extraArguments];
  const set: Record<string, unknown> = {};
  if (isObject(extra) && transferMembers.some((name) => name in extra)) {
    set[extraArguments] = Object.fromEntries(Object.entries(extra).filter(([name]) => !transferMembers.includes(name)));
  }
  const isClean = Object.keys(set).length === 0 && !transferMembers.some((name) => name in fields);
  return isClean ? body : editMembers(body, transferMembers, set);
}

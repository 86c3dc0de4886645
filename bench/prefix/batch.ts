import { encodeMsgpack, type MsgpackValue } from '../../src/base/msgpack-writer.ts';

/** A batch that stores `blocks` blocks of 16 tokens, as vLLM sends them. */
export function batchOf(which: number, blocks: number): Buffer {
  const hashes: MsgpackValue[] = [];
  for (let i = 0; i < blocks; i++)
    hashes.push((BigInt(which * blocks + i + 1) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn);
  const tokens = Array.from({ length: blocks * 16 }, (_, i) => (which * 31 + i * 7) % 128_000);
  const stored = {
    ...{ type: 'BlockStored', block_hashes: hashes, parent_block_hash: null, token_ids: tokens, block_size: 16 },
    ...{ lora_id: null, medium: 'GPU', lora_name: null, extra_keys: hashes.map(() => null), group_idx: 0 },
    kv_cache_spec_kind: 'full_attention',
  };
  return encodeMsgpack([1.5, [stored], 0]);
}

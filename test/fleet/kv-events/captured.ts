import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../../support/command.ts';

/** A message of a real vLLM as it was recorded: frames, and what they hold as another decoder read it. */
export interface CapturedMessage {
  readonly topic: string;
  readonly number: number;
  readonly payload: Buffer;
  readonly decoded: [number, CapturedEvent[], number | null];
}

/** 64-bit hashes are kept as text, all digits of them. */
export interface CapturedEvent {
  type: string;
  block_hashes: string[];
  parent_block_hash: string | null;
  token_ids: number[];
  block_size: number;
  medium?: string;
  lora_name?: string | null;
  extra_keys?: (string[] | null)[];
}

export const captures = ['plain', 'lora-salt-eviction', 'decode-of-pair'] as const;

export function readCapture(name: (typeof captures)[number]): CapturedMessage[] {
  const path = join(repository, 'testdata/vllm/kv-events', `${name}.jsonl`);
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      // JSON numbers would lose the last bits of hashes.
      const message = JSON.parse(line.replace(/(?<=[[ ])(\d{15,20})(?=[,\]])/g, '"$1"')) as {
        topic: string;
        seq: number;
        payload_hex: string;
        decoded: CapturedMessage['decoded'];
      };
      const payload = Buffer.from(message.payload_hex, 'hex');
      const decoded = message.decoded;
      for (const event of decoded[1]) {
        event.block_hashes = (event.block_hashes ?? []).map(String);
        if (event.parent_block_hash != null) event.parent_block_hash = String(event.parent_block_hash);
      }
      return { topic: message.topic, number: message.seq, payload, decoded };
    });
}
